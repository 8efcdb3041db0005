"""What an answer from the cache says of the tokens it took. Pure.

    replay           what the answer took when it was made
    zero             nothing: a hit costs nothing
    cached_details   the same tokens, those of the prompt as read from a cache: whoever computes
                     prices from usage charges the provider's price of cached input

The names are those of Chat Completions (`prompt_tokens`) and of Responses (`input_tokens`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from semcache.completion import Completion

UsageMode = Literal["replay", "zero", "cached_details"]
_PROMPT = (("prompt_tokens", "prompt_tokens_details"), ("input_tokens", "input_tokens_details"))


def shown(completion: Completion, mode: UsageMode) -> Completion:
    """The answer as it is served from the cache."""
    usage = completion.wire.get("usage")
    if mode == "replay" or not isinstance(usage, Mapping):
        return completion
    told = _zero(usage) if mode == "zero" else _as_cached(usage)
    return Completion({**completion.wire, "usage": told})


def _zero(value: Any) -> Any:
    """The same members, every number 0."""
    if isinstance(value, Mapping):
        return {name: _zero(inner) for name, inner in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0
    return value


def _as_cached(usage: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(usage)
    for name, details in _PROMPT:
        if isinstance(usage.get(name), int):
            known = usage.get(details)
            known = known if isinstance(known, Mapping) else {}
            told[details] = {**known, "cached_tokens": usage[name]}
    return told
