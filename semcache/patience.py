"""How long to wait before a failed request is sent again, and when not to: pure.

Exponential backoff with jitter; a server's `retry-after` and `x-should-retry` have their word.
"""

from __future__ import annotations

from collections.abc import Mapping

from semcache.errors import UpstreamError

FIRST_S = 0.5
LONGEST_S = 8.0
ELSEWHERE = frozenset({408, 429, 500, 502, 503, 504, 529})
"""Statuses that another server, or the same one later, may do better than."""


def pause_s(error: UpstreamError, attempt: int, chance: float) -> float | None:
    """Seconds before the next attempt, or None where there should be none.

    `attempt` counts from 0; `chance` is in 0..1. A request that met silence is not sent again: its
    answer may be in the making, and the caller has waited for long.
    """
    if error.status not in ELSEWHERE or error.cause in {"silent", "ours"}:
        return None
    if error.headers.get("x-should-retry", "").lower() == "false":
        return None
    asked = retry_after_s(error.headers)
    if asked is not None:
        return asked if asked <= LONGEST_S else None
    return float(min(LONGEST_S, FIRST_S * 2**attempt) * (0.5 + 0.5 * chance))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """What `retry-after-ms` or `retry-after` says in seconds, or None; dates are not read."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        said = headers.get(name, "").strip()
        if said.replace(".", "", 1).isdigit() and said.isascii():
            return float(said) * unit
    return None
