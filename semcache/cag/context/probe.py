"""Which way of sharing a prefix is right for a model: proved on the model itself, at load.

The quick way must give the logits of a plain forward pass on a short probe; a model whose
configuration or probe says otherwise is served by its own attention on a forked cache.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from semcache.cag.context.sharing import ForkSharing, Sharing, SplitSharing, is_plain_causal
from semcache.cag.network.model import LanguageModel
from semcache.errors import ConfigError

log = logging.getLogger("semcache.cag")

# The probe: a prefix in two reads, then a chunk and a single token after it.
_PREFIX, _CHUNK = 12, 7
_TOLERANCE = {torch.float32: 1e-3}
_COARSE_TOLERANCE = 5e-2


def choose_sharing(model: LanguageModel) -> Sharing:
    """Set the network's attention and return the way to share. Raises ConfigError."""
    config = model.network.config
    own = config._attn_implementation
    with torch.inference_mode():
        expected = _plain_logits(model)
        if is_plain_causal(config):
            quick = SplitSharing(config.get_text_config().num_hidden_layers)
            problem = _difference(model, quick, expected)
            if problem is None:
                return quick
            log.warning("quick prefix sharing does not fit this model: %s", problem)
        forked = ForkSharing(config, own)
        problem = _difference(model, forked, expected)
    if problem is not None:
        raise ConfigError(f"This model cannot answer from a shared prefix: {problem}.")
    log.info("prefixes are shared by forked caches")
    return forked


def _probe_ids(model: LanguageModel) -> list[int]:
    vocabulary = model.network.config.get_text_config().vocab_size
    return [(7919 * at + 11) % vocabulary for at in range(1, _PREFIX + _CHUNK + 2)]


def _plain_logits(model: LanguageModel) -> Tensor:
    tokens = torch.tensor([_probe_ids(model)], device=model.device)
    logits: Tensor = model.network(input_ids=tokens, use_cache=False).logits[0]
    return logits[-2:].float()


def _difference(model: LanguageModel, sharing: Sharing, expected: Tensor) -> str | None:
    """What is wrong with this way, or None."""
    try:
        model.network.set_attn_implementation(sharing.attention)
        found = _shared_logits(model, sharing)
    except Exception as error:  # whatever a model's own code raises
        return f"{type(error).__name__}: {error}"
    scale = max(1.0, float(expected.abs().max()))
    worst = float((found - expected).abs().max()) / scale
    tolerance = _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE)
    return None if worst <= tolerance else f"logits differ by {worst:.1e} of their scale"


def _shared_logits(model: LanguageModel, sharing: Sharing) -> Tensor:
    """The logits after the last two tokens, read twice from one prefix."""
    ids = _probe_ids(model)
    cache = sharing.begin(None, 0, capacity=_PREFIX)
    model.read(ids[: _PREFIX // 2], sharing.arguments(cache))
    model.read(ids[_PREFIX // 2 : _PREFIX], sharing.arguments(cache))
    prefix = sharing.freeze(ids[:_PREFIX], cache)
    found = []
    for _ in range(2):
        tail = sharing.begin(prefix, _PREFIX)
        chunk = model.read(ids[_PREFIX:-1], sharing.arguments(tail))
        tail = sharing.copy(tail)
        single = model.read(ids[-1:], sharing.arguments(tail))
        found.append(torch.stack((chunk, single)).float())
    return found[1]
