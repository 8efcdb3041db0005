"""Whether a model's keys can be moved to another place: proved on the model itself."""

from __future__ import annotations

import logging

import torch

from semcache.cag.context.rotation import Rotation, rotations_of
from semcache.cag.context.segments import LayerKV
from semcache.cag.context.sharing import Sharing, SplitSharing
from semcache.cag.network.model import LanguageModel

log = logging.getLogger("semcache.cag")

_TOKENS, _SHIFT = 19, 37
_TOLERANCE = {torch.float32: 1e-3}
_COARSE_TOLERANCE = 5e-2


def proved_rotation(model: LanguageModel, sharing: Sharing) -> Rotation | None:
    """The rotation that moves every layer's keys, or None: such a model has exact prefixes only.

    Tokens are read at two places. Keys of the one, turned on, must be the keys of the other, and
    the values must be equal.
    """
    if not isinstance(sharing, SplitSharing) or model.window < _SHIFT + _TOKENS:
        return None
    candidates = list(rotations_of(model.network))
    if not candidates:
        return None
    with torch.inference_mode():
        here, there = (_read(model, sharing, at) for at in (0, _SHIFT))
        for rotation in candidates:
            if _moves(rotation, here, there, _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE)):
                return rotation
    log.warning("this model's keys cannot be moved: its blocks stay where they were read")
    return None


def _read(model: LanguageModel, sharing: SplitSharing, at: int) -> tuple[LayerKV, ...]:
    vocabulary = model.network.config.get_text_config().vocab_size
    ids = [(7919 * number + 11) % vocabulary for number in range(1, _TOKENS + 1)]
    cache = sharing.after(None, at, _TOKENS)
    model.read(ids, sharing.arguments(cache))
    return sharing.freeze(ids, cache).layers


def _moves(
    rotation: Rotation, here: tuple[LayerKV, ...], there: tuple[LayerKV, ...], tolerance: float
) -> bool:
    cos, sin = rotation.table([_SHIFT])
    for (key, value), (moved_key, moved_value) in zip(here, there, strict=True):
        for found, expected in ((rotation.turned(key, cos, sin), moved_key), (value, moved_value)):
            scale = max(1.0, float(expected.abs().max()))
            if float((found - expected).abs().max()) > tolerance * scale:
                return False
    return True
