"""From a loaded model to the same model with a quicker network, where that is right and proved."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from semcache.cag.context.sharing import Sharing, SplitSharing
from semcache.cag.lean.folder import lean_parts
from semcache.cag.lean.graph import OffGridError, graphs
from semcache.cag.lean.network import LeanNetwork
from semcache.cag.lean.shape import Shape, shape_of
from semcache.cag.lean.weights import Floats, Packed, on_grid, rounded
from semcache.cag.network.identity import digest_of
from semcache.cag.network.model import LanguageModel
from semcache.onnx_graph import open_part, size_pool

log = logging.getLogger("semcache.cag")

Progress: TypeAlias = Callable[[str], None]

PLAIN = "plain"
_TOLERANCE = {"exact": 1e-3, "int8": 0.25}
_PREFIX, _ROWS = 12, (1, 5)


def quickened(
    model: LanguageModel, sharing: Sharing, weights: str, cache_dir: Path, progress: Progress
) -> tuple[LanguageModel, str]:
    """The model to answer with, and the kind of its weights: as asked for, or PLAIN.

    `weights` is the setting: "exact" needs weights that are whole numbers to the last bit, "int8"
    rounds others to them, and its inputs too. A network that neither fits stays as it is.
    """
    if weights == PLAIN or not isinstance(sharing, SplitSharing):
        return model, PLAIN
    shape = shape_of(model.network)
    if shape is None:
        return model, PLAIN
    try:
        quick = _opened(model, shape, weights, cache_dir, progress)
    except OffGridError:
        return model, PLAIN
    except Exception as error:  # a full disk, or whatever the runtime raises
        log.warning(
            "the plain network decodes (remove %s/lean-* to pack the weights anew): %s: %s",
            cache_dir / "models",
            type(error).__name__,
            error,
        )
        return model, PLAIN
    worst = _difference(model, quick, sharing)
    if worst <= _TOLERANCE[weights]:
        return replace(model, network=quick, identity=_named(model, weights)), weights
    log.warning("the plain network decodes: %s weights differ by %.1e", weights, worst)
    return model, PLAIN


def _opened(
    model: LanguageModel, shape: Shape, kind: str, cache_dir: Path, progress: Progress
) -> LeanNetwork:
    def build() -> Any:
        progress(f"packing the model's weights ({kind}; once)")
        exact = kind == "exact"
        return graphs(model.network, shape, on_grid if exact else _nearest, twice=exact)

    files = lean_parts(cache_dir, model.identity.weights, kind, build)
    size_pool(torch.get_num_threads())
    return LeanNetwork(model.network, shape, [open_part(file) for file in files])


def _nearest(weights: Floats) -> Packed:
    return on_grid(weights) or rounded(weights)


def _named(model: LanguageModel, kind: str) -> Any:
    """What rounded weights have read must not be taken for what the model's own have."""
    if kind == "exact":
        return model.identity
    name = digest_of(model.identity.weights.encode(), kind.encode())
    return replace(model.identity, weights=name)


def _difference(model: LanguageModel, quick: LeanNetwork, sharing: SplitSharing) -> float:
    """Largest difference of logits after a few rows, against their scale."""
    vocabulary = model.network.config.get_text_config().vocab_size
    ids = [(7919 * at + 11) % vocabulary for at in range(1, _PREFIX + max(_ROWS) + 1)]

    def logits(network: Any, rows: int) -> Tensor:
        cache = sharing.begin(None, 0)
        model.read(ids[:_PREFIX], sharing.arguments(cache))
        with_it = replace(model, network=network)
        return with_it.read_last(ids[_PREFIX : _PREFIX + rows], rows, sharing.arguments(cache))

    with torch.inference_mode():
        pairs = [(logits(model.network, rows), logits(quick, rows)) for rows in _ROWS]
    return max(
        float((found - own).abs().max()) / max(1.0, float(own.abs().max())) for own, found in pairs
    )
