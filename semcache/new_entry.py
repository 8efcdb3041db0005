"""From a plan and the answer to it to what the store keeps."""

from __future__ import annotations

from semcache.completion import Completion
from semcache.entry import Entry
from semcache.policy import Keep
from semcache.reply import Plan


def entry_of(
    plan: Plan,
    completion: Completion,
    kept: Keep,
    now: float,
    *,
    embedder: str | None,
    cost_s: float,
) -> Entry:
    """The entry of an answer that is kept; `embedder` made its question's vector, if it has one."""
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
        detail={"namespace": name} if (name := plan.directives.namespace) else {},
    )
