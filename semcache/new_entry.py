"""From a plan and the answer to it to what the store keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semcache.completion import Completion
from semcache.entry import Entry
from semcache.policy import Keep
from semcache.reply import Plan

PACE = "pace_ms"  # in an entry's detail


def entry_of(
    plan: Plan,
    completion: Completion,
    kept: Keep,
    now: float,
    *,
    embedder: str | None,
    cost_s: float,
    pace_ms: Sequence[int] = (),
) -> Entry:
    """The entry of an answer that is kept; `embedder` made its question's vector, if it has one.

    `pace_ms`: what a `pacing.Recorder` says of it.
    """
    detail: dict[str, Any] = {}
    if plan.directives.namespace:
        detail["namespace"] = plan.directives.namespace
    if pace_ms:
        detail[PACE] = list(pace_ms)
    return Entry(
        key=plan.key.exact,
        scope=plan.key.scope,
        question=plan.key.question,
        completion=completion,
        created_at=now,
        expires_at=kept.expires_at,
        embedder=embedder,
        cost_s=cost_s,
        used_at=now,
        sources=() if completion.grounds is None else completion.grounds.sources,
        stale_s=kept.stale_s,
        detail=detail,
    )


def pace_of(entry: Entry) -> list[int]:
    """What a `pacing.Recorder` said of an entry's answer; [] where it is not known."""
    times = entry.detail.get(PACE)
    if not isinstance(times, list) or not all(isinstance(time, int) for time in times):
        return []
    return times if times == sorted(times) else []
