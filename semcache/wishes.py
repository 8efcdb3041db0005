"""What a request asks of the cache, in our words and in those of other gateways: to Directives.

Our own headers win over `Cache-Control`, that over the headers that other gateways have for the
same, and those over LiteLLM's `cache` member in the body. A caller can ask for less caching than
the operator allows, never for more: a shorter life, a higher threshold, fewer tiers. What cannot be
read is ignored, value by value. None of it reaches a model or, but for the namespace, a key.

| ours | |
|---|---|
| `x-semcache-ttl` | seconds that the answer may be kept, at most |
| `x-semcache-namespace` | a part of the tenant's cache, for requests with the same name |
| `x-semcache-tier` | `exact`: no near-duplicates |
| `x-semcache-threshold` | a cosine, 0..1, that a near-duplicate must reach |
| `x-semcache-variants` | of how many answers one is served where each is another, at most |
| `x-semcache-replay` | how a stored answer is streamed: `instant`, `recorded`, tokens a second |

The names and values of Portkey, Cloudflare AI Gateway, Bifrost, Helicone, OpenRouter, Braintrust,
OpenPipe, TensorZero and Higress are those of their documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import orjson

from semcache.directives import NONE, Directives, parse_cache_control

Changes: TypeAlias = dict[str, Any]

MAX_NAMESPACE = 128
MAX_VARIANTS = 20
_MAX_SECONDS = 2**31
_MAX_CONFIG = 4096
_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)?")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_YES, _NO = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no"})
_SKIP_READ: Changes = {"no_cache": True}
_SKIP_WRITE: Changes = {"no_store": True}
_OFF: Changes = {"no_cache": True, "no_store": True}


def _ttl(value: str) -> Changes:
    found = _DURATION.fullmatch(value)
    if found is None:
        return {}
    return {"ttl_s": min(float(found[1]) * _UNITS_S[found[2]], float(_MAX_SECONDS))}


def _namespace(value: str) -> Changes:
    return {"namespace": value} if 0 < len(value) <= MAX_NAMESPACE else {}


def _threshold(value: str) -> Changes:
    try:
        cosine = float(value)
    except ValueError:
        return {}
    return {"threshold": cosine} if 0 <= cosine <= 1 else {}


def _variants(value: str) -> Changes:
    fits = value.isascii() and value.isdigit() and len(value) < 4
    return {"variants": min(int(value), MAX_VARIANTS)} if fits else {}


def _replay(value: str) -> Changes:
    if value in {"instant", "recorded"}:
        return {"replay": value}
    try:
        speed = float(value)
    except ValueError:
        return {}
    return {"replay": speed} if 0 < speed < float("inf") else {}


def _where(words: frozenset[str], changes: Changes) -> Callable[[str], Changes]:
    return lambda value: changes if value in words else {}


def _said(**words: Changes) -> Callable[[str], Changes]:
    by_word = {word.replace("_", "-"): changes for word, changes in words.items()}
    return lambda value: by_word.get(value, {})


_tier = _said(exact={"exact_only": True}, direct={"exact_only": True}, simple={"exact_only": True})

OWN: Mapping[str, Callable[[str], Changes]] = {
    "x-semcache-ttl": _ttl,
    "x-semcache-namespace": _namespace,
    "x-semcache-tier": _tier,
    "x-semcache-threshold": _threshold,
    "x-semcache-replay": _replay,
    "x-semcache-variants": _variants,
}


def _portkey(value: str) -> Changes:
    """The `cache` of a configuration in the header itself; the name of one says nothing."""
    if not value.startswith("{") or len(value) > _MAX_CONFIG:
        return {}
    try:
        cache = orjson.loads(value).get("cache")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(cache, dict):
        return {}
    changes = dict(_tier(mode) if isinstance(mode := cache.get("mode"), str) else {})
    if (age := _seconds(cache.get("max_age"))) is not None:
        changes["ttl_s"] = age
    return changes


PEERS: Mapping[str, Callable[[str], Changes]] = {
    "x-portkey-config": _portkey,
    "x-portkey-cache-force-refresh": _where(_YES, _SKIP_READ),
    "x-portkey-cache-namespace": _namespace,
    "cf-aig-skip-cache": _where(_YES, _OFF),
    "cf-aig-cache-ttl": _ttl,
    "cf-aig-cache-key": _namespace,
    "x-bf-cache-no-store": _where(_YES, _SKIP_WRITE),
    "x-bf-cache-ttl": _ttl,
    "x-bf-cache-key": _namespace,
    "x-bf-cache-type": _tier,
    "x-bf-cache-threshold": _threshold,
    "helicone-cache-enabled": _where(_NO, _OFF),
    "helicone-cache-read": _where(_NO, _SKIP_READ),
    "helicone-cache-save": _where(_NO, _SKIP_WRITE),
    "helicone-cache-seed": _namespace,
    "helicone-cache-bucket-max-size": _variants,
    "x-openrouter-cache": _where(_NO, _OFF),
    "x-openrouter-cache-clear": _where(_YES, _SKIP_READ),
    "x-openrouter-cache-ttl": _ttl,
    "x-bt-use-cache": _said(never=_OFF),
    "x-bt-cache-ttl": _ttl,
    "op-cache": _said(readonly=_SKIP_WRITE, writeonly=_SKIP_READ),
    "x-higress-skip-ai-cache": _where(_YES, _OFF),
}
_IN_LOWER_CASE = frozenset(PEERS) - {
    "x-portkey-config", "x-portkey-cache-namespace", "cf-aig-cache-key", "x-bf-cache-key",
    "helicone-cache-seed",
}  # fmt: skip
HEADERS = frozenset({"cache-control", *OWN, *PEERS})
"""All that `of_headers` reads, in lower case."""


def of_headers(headers: Iterable[tuple[str, str]]) -> Directives:
    """The wishes in a request's headers: (name in lower case, value); others are passed over."""
    found = NONE
    peers: Changes = {}
    own: Changes = {}
    for name, value in headers:
        if name == "cache-control":
            found = parse_cache_control(value)
        elif name in OWN:
            own.update(OWN[name](value.strip()))
        elif name in PEERS:
            said = value.strip()
            peers.update(PEERS[name](said.lower() if name in _IN_LOWER_CASE else said))
    return _over(_over(found, peers), own) if peers or own else found


def taken_from_body(body: object) -> tuple[object, Directives]:
    """A request's body without what it asks of the cache, and that.

    LiteLLM's `cache`, TensorZero's options, the vLLM production stack's `skip_cache`. A body
    without them is returned as it is.
    """
    if not isinstance(body, dict):
        return body, NONE
    litellm, tensorzero = body.get("cache"), body.get(_TENSORZERO)
    skip = body.get("skip_cache")
    if not (isinstance(litellm, dict) or isinstance(tensorzero, dict) or isinstance(skip, bool)):
        return body, NONE
    changes: Changes = {}
    rest = dict(body)
    if isinstance(skip, bool):
        changes.update(_OFF if rest.pop("skip_cache") else {})
    if isinstance(tensorzero, dict):
        changes.update(_of_tensorzero(rest.pop(_TENSORZERO)))
    if isinstance(litellm, dict):
        changes.update(_of_litellm(rest.pop("cache")))
    return rest, _over(NONE, changes)


def joined(first: Directives, then: Directives) -> Directives:
    """Both; where both say something of one thing, the first."""
    if first is NONE or then is NONE:  # nearly always, and on every hit
        return then if first is NONE else first
    named = {name: getattr(first, name) for name in Directives.__slots__}
    said = {name: value for name, value in named.items() if value != getattr(NONE, name)}
    return replace(then, **said)


_TENSORZERO = "tensorzero::cache_options"
_MODES: Mapping[object, Changes] = {
    "off": _OFF,
    "read_only": _SKIP_WRITE,
    "write_only": _SKIP_READ,
}


def _of_litellm(cache: Mapping[str, Any]) -> Changes:
    changes: Changes = {}
    if cache.get("no-cache") is True:
        changes.update(_SKIP_READ)
    if cache.get("no-store") is True:
        changes.update(_SKIP_WRITE)
    if cache.get("use-cache") is False:
        changes.update(_OFF)
    if (ttl := _seconds(cache.get("ttl"))) is not None:
        changes["ttl_s"] = ttl
    age = _seconds(cache.get("s-maxage", cache.get("s-max-age")))
    if age is not None:
        changes["max_age_s"] = age
    if isinstance(name := cache.get("namespace"), str):
        changes.update(_namespace(name))
    return changes


def _of_tensorzero(options: Mapping[str, Any]) -> Changes:
    mode = options.get("enabled")
    changes = dict(_MODES.get(mode, {})) if isinstance(mode, str) else {}
    if (age := _seconds(options.get("max_age_s"))) is not None:
        changes["max_age_s"] = age
    return changes


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(float(value), float(_MAX_SECONDS)) if value >= 0 else None


def _over(found: Directives, changes: Changes) -> Directives:
    return replace(found, **changes) if changes else found
