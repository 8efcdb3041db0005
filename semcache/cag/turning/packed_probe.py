"""Whether packed forward passes are right for a model: proved on the model itself, at load.

Three requests on one prefix, each with rows of its own, must have the logits that each of them has
alone; a model for which they differ is served one request at a time, and answers as before.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from semcache.cag.context.sharing import Sharing, SplitSharing
from semcache.cag.network.model import LanguageModel
from semcache.cag.turning.packing import Span
from semcache.cag.turning.together import Together

log = logging.getLogger("semcache.cag")

_PREFIX = 12
_TOLERANCE = {torch.float32: 1e-3}
_COARSE_TOLERANCE = 5e-2

# Each request's question, then its rows of the packed pass.
_REQUESTS = ((5, 1), (3, 3), (4, 2))


def can_pack(model: LanguageModel, sharing: Sharing) -> bool:
    """Try it; a log line where it is not so."""
    if not isinstance(sharing, SplitSharing):
        return False
    with torch.inference_mode():
        try:
            expected, found = _logits(model, sharing, False), _logits(model, sharing, True)
        except Exception as error:  # whatever a model's own code raises
            log.warning("requests take turns one by one: %s: %s", type(error).__name__, error)
            return False
    scale = max(1.0, float(expected.abs().max()))
    worst = float((found - expected).abs().max()) / scale
    if worst <= _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE):
        return True
    log.warning("requests take turns one by one: packed logits differ by %.1e", worst)
    return False


def _logits(model: LanguageModel, sharing: SplitSharing, packs: bool) -> Tensor:
    """After each row of three requests, one of which still reads its question."""
    vocabulary = model.network.config.get_text_config().vocab_size
    ids = [(7919 * at + 11) % vocabulary for at in range(1, 64)]
    cache = sharing.begin(None, 0, capacity=_PREFIX)
    model.read(ids[:_PREFIX], sharing.arguments(cache))
    prefix = sharing.freeze(ids[:_PREFIX], cache)
    spans = []
    for number, (asked, rows) in enumerate(_REQUESTS):
        own = ids[_PREFIX + 9 * number :]
        cache = sharing.begin(prefix, _PREFIX)
        if number:
            model.read(own[:asked], sharing.arguments(cache))
            spans.append(Span(cache, own[asked : asked + rows], rows, answers=True))
        else:
            spans.append(Span(cache, own[:asked], rows))
    together = Together(model, sharing, packs)
    return torch.cat([logits.float() for logits in together.read(spans)])
