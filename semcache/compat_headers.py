"""What happened to a request, in the response headers of other gateways. Pure.

Our own headers are read and others added, so that a client which reads those of its old gateway
goes on working. Names and values are those of the gateways' documentation; Bifrost says it in the
body only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from semcache.errors import ConfigError

Headers: TypeAlias = list[tuple[bytes, bytes]]
Said: TypeAlias = Mapping[bytes, bytes]
Added: TypeAlias = Iterator[tuple[bytes, bytes | None]]

_TTL = re.compile(rb"; ttl=(-?\d+)")
_HITS = frozenset({b"HIT", b"SEMANTIC_HIT", b"STALE"})
_STATUS = b"x-semcache-status"


def _is_hit(said: Said) -> bool:
    return said[_STATUS] in _HITS


def _hit_or_miss(said: Said) -> bytes:
    return b"HIT" if _is_hit(said) else b"MISS"


def _ttl(said: Said) -> bytes | None:
    found = _TTL.search(said.get(b"cache-status", b""))
    return None if found is None else found[1]


def _is_refresh(said: Said) -> bool:
    return b"fwd=request" in said.get(b"cache-status", b"")


def _litellm(said: Said) -> Added:
    """The key is there on a hit, and only then."""
    if _is_hit(said):
        yield b"x-litellm-cache-key", said.get(b"x-semcache-key")
        yield b"x-litellm-semantic-similarity", said.get(b"x-semcache-similarity")


def _portkey(said: Said) -> Added:
    status = said[_STATUS]
    if status == b"BYPASS":
        told = b"REFRESH" if _is_refresh(said) else b"DISABLED"
    elif status == b"SEMANTIC_HIT":
        told = b"SEMANTIC HIT"
    elif not _is_hit(said) and b"near=" in said.get(b"cache-status", b""):
        told = b"SEMANTIC MISS"
    else:
        told = _hit_or_miss(said)
    yield b"x-portkey-cache-status", told


def _cloudflare(said: Said) -> Added:
    yield b"cf-aig-cache-status", _hit_or_miss(said)


def _openrouter(said: Said) -> Added:
    yield b"x-openrouter-cache-status", _hit_or_miss(said)
    yield b"x-openrouter-cache-ttl", _ttl(said)


def _braintrust(said: Said) -> Added:
    yield b"x-bt-cached", _hit_or_miss(said)


def _helicone(said: Said) -> Added:
    yield b"helicone-cache", _hit_or_miss(said)
    if _is_hit(said):
        yield b"helicone-cache-bucket-idx", said.get(b"x-semcache-variant", b"0")


def _kong(said: Said) -> Added:
    if said[_STATUS] == b"BYPASS":
        yield b"x-cache-status", b"Refresh" if _is_refresh(said) else b"Bypass"
    else:
        yield b"x-cache-status", b"Hit" if _is_hit(said) else b"Miss"
    yield b"x-cache-key", said.get(b"x-semcache-key")
    yield b"x-cache-ttl", _ttl(said)


def _apisix(said: Said) -> Added:
    yield b"x-ai-cache-status", _hit_or_miss(said)
    yield b"x-ai-cache-similarity", said.get(b"x-semcache-similarity")
    yield b"x-ai-cache-age", said.get(b"age")


GATEWAYS: Mapping[str, Callable[[Said], Added]] = {
    "apisix": _apisix,
    "braintrust": _braintrust,
    "cloudflare": _cloudflare,
    "helicone": _helicone,
    "kong": _kong,
    "litellm": _litellm,
    "openrouter": _openrouter,
    "portkey": _portkey,
}


def check_gateways(names: Sequence[str]) -> None:
    """Raises ConfigError for a name that is not known."""
    for name in names:
        if name not in GATEWAYS:
            why = " It says so in the body, not in headers." if name == "bifrost" else ""
            known = ", ".join(GATEWAYS)
            raise ConfigError(f"No response headers of '{name}' are known.{why} Known: {known}.")


def unchanged(headers: Headers) -> Headers:
    """Our own headers alone."""
    return headers


def speaking(names: Sequence[str]) -> Callable[[Headers], Headers]:
    """From our headers to ours with those of these gateways. Raises ConfigError."""
    check_gateways(names)
    if not names:
        return unchanged
    gateways = [GATEWAYS[name] for name in dict.fromkeys(names)]

    def added(headers: Headers) -> Headers:
        said = dict(headers)
        if _STATUS not in said:
            return headers
        told = (pair for gateway in gateways for pair in gateway(said))
        return headers + [(name, value) for name, value in told if value is not None]

    return added
