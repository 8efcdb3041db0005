"""What was decided of each request, as counters and as a log line without its text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from semcache.interfaces import Bypass, Decision, Hit, Miss, Supervisor, Tier
from semcache.prices import Prices, Saved, saved
from semcache.reply import Decided, Plan
from semcache.tally import Tally

_HITS: Mapping[Tier, tuple[str, int]] = {
    "exact": ("hit: exact", 1),
    "semantic": ("hit: semantic", 1),
}
requests_log = logging.getLogger("semcache.requests")


def record(
    tally: Tally, supervisor: Supervisor | None, plan: Plan, decided: Decided, prices: Prices
) -> None:
    """Count a decision, and what a hit has saved; log it where the log asks for requests."""
    decision = decided.decision
    if supervisor is not None:
        tally.add(f"certificate: {supervisor.header().split(';')[0]}")
    match decision:
        case Hit(tier=tier) as hit:
            entry = hit.entry
            decided.saved = saved(entry.completion.wire, plan.request.model, prices, entry.cost_s)
            tally.add_all((_HITS[tier], *_tokens(decided.saved)))
            if tier == "semantic":
                tally.observe("hit", hit.similarity)
        case Miss(reason=reason, nearest=nearest):
            tally.add(f"miss: {reason}")
            if nearest is not None:
                tally.observe("miss", nearest)
        case Bypass(reason=reason):
            tally.add(f"bypass: {reason}")
    if requests_log.isEnabledFor(logging.INFO):
        requests_log.info("%s", log_line(plan, decision))


def _tokens(made: Saved) -> Iterator[tuple[str, int]]:
    """The tokens that somebody would have been paid for."""
    if made.prompt_tokens:
        yield "saved: prompt_tokens", made.prompt_tokens
    if made.completion_tokens:
        yield "saved: completion_tokens", made.completion_tokens


def log_line(plan: Plan, decision: Decision) -> str:
    """One request without its text: `key=value` members, greppable."""
    line = {
        "tenant": plan.request.tenant[:8],
        "key": plan.key.exact[:12],
        "outcome": type(decision).__name__.lower(),
        "reason": repr(decision.reason),
    }
    if isinstance(decision, Hit):
        line["similarity"] = f"{decision.similarity:.4f}"
    elif isinstance(decision, Miss) and decision.nearest is not None:
        line["nearest"] = f"{decision.nearest:.4f}"
    return " ".join(f"{name}={value}" for name, value in line.items())
