"""Every decision about a request, pure: the driver carries them out.

    admit   may this request read from the cache, and may its answer be stored?
    judge   may this stored answer be served for this question?
    keep    may this new answer be stored? (`keeping`)

A refusal is a value with a reason that a person can read in a header or a log line; reasons are
short, stable and hold no text of the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from semcache import guards
from semcache.chat import ChatRequest
from semcache.directives import Directives
from semcache.interfaces import (
    Asked,
    Candidate,
    Encoded,
    Entry,
    Hit,
    Judged,
    Miss,
    Verdict,
    Verifier,
)
from semcache.judging import by_answer
from semcache.keeping import Keep as Keep
from semcache.keeping import Keeping as Keeping
from semcache.keeping import Skip as Skip
from semcache.keeping import keep as keep
from semcache.policy_settings import PolicySettings as PolicySettings
from semcache.policy_settings import TtlRule as TtlRule
from semcache.responses.asked import refused


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may be answered from the cache, and whether its answer may be stored.

    `variants`: so many answers are kept to a request that wants another one each time; else 0.
    """

    read: bool
    write: bool
    reason: str = ""
    variants: int = 0


def admit(request: ChatRequest, directives: Directives, settings: PolicySettings) -> Admission:
    """Decide whether a request takes part in the cache."""
    if request.kind == "response" and (why := refused(request.options)) is not None:
        return Admission(read=False, write=False, reason=why)
    temperature = request.options.get("temperature")
    wanted = temperature is not None and temperature > settings.max_temperature
    variants = 0
    if wanted and request.options.get("seed") is None:
        asked = directives.variants
        variants = settings.variants if asked is None else min(asked, settings.variants)
        if not variants:
            return Admission(read=False, write=False, reason="temperature")
    writes = not directives.no_store
    if directives.no_cache:
        return Admission(False, writes, "request=no-cache", variants)
    return Admission(read=True, write=writes, variants=variants)


# ---------------------------------------------------------------------------------------- judge


def staleness(entry: Entry, now: float, directives: Directives) -> str | None:
    """Why an entry is too old for this request, or None (RFC 9111, section 4.2)."""
    if directives.max_age_s is not None and now - entry.created_at > directives.max_age_s:
        return "max-age"
    if entry.expires_at is None:
        return None
    fresh_for = entry.expires_at - now
    if directives.min_fresh_s is not None and fresh_for < directives.min_fresh_s:
        return "min-fresh"
    if fresh_for <= -(directives.max_stale_s or 0.0):
        return "stale"
    return None


def judge_exact(entry: Entry | None, now: float, directives: Directives) -> Hit | Miss:
    """Decide on what was found under the exact key."""
    if entry is None:
        return Miss("unknown")
    if entry.state:
        return Miss(entry.state)
    stale = staleness(entry, now, directives)
    if stale is not None:
        return Miss(stale, stale=entry if stale == "stale" else None)
    return Hit(entry, "exact", 1.0, 1.0, "exact")


def matchable(encoded: Encoded, settings: PolicySettings) -> str | None:
    """Why a question's vector says nothing about its meaning, or None."""
    if encoded.truncated:
        return "longer than the encoder's window"
    if encoded.vector is None:
        return "no vector"
    if encoded.unknown_share > settings.max_unknown_share:
        return "unknown tokens"
    return None


def gate(directives: Directives, settings: PolicySettings) -> float:
    """The cosine that a near-duplicate must reach: a caller may ask for more, never for less."""
    return max(settings.threshold, directives.threshold or 0.0)


Choose: TypeAlias = Callable[[Sequence[Candidate]], Candidate]
"""Which of several candidates that may be served answers: GPTCache's post function."""


def first(candidates: Sequence[Candidate]) -> Candidate:
    """The nearest."""
    return candidates[0]


def judge_semantic(
    asked: Asked,
    around: Sequence[Candidate],
    now: float,
    directives: Directives,
    settings: PolicySettings,
    verifier: Verifier | None = None,
    choose: Choose = first,
) -> Hit | Miss:
    """Serve one of the candidates that nothing refuses: the nearest `settings.candidates`.

    `around` is all that was found, nearest first. A verifier sees at once all candidates that the
    guards leave, the nearest of each answer; of what it allows, the most probable answers. A miss
    gives the reason of the nearest one's refusal.
    """
    if not around:
        return Miss("no neighbour")
    candidates = around[: settings.candidates]
    left: list[Candidate] = []
    refused = ""
    for candidate in candidates:
        reason = _refusal(asked.question, candidate, now, directives, settings)
        if reason is None:
            left.append(candidate)
            if verifier is None and choose is first:
                break
        elif candidate is candidates[0]:
            refused = reason
    if not left:
        return Miss(refused, candidates[0].similarity)
    if verifier is None:
        chosen = choose(left)
        least = gate(directives, settings)
        return Hit(chosen.entry, "semantic", chosen.similarity, least, "semantic")
    left = by_answer(left)
    judged = list(zip(left, verifier.judge(asked, left, around), strict=True))
    nearest, least = candidates[0].similarity, gate(directives, settings)
    return _judged(judged, refused, nearest, least, choose)


def _judged(
    judged: Sequence[tuple[Candidate, Verdict]],
    refused: str,
    nearest: float,
    least: float,
    choose: Choose,
) -> Hit | Miss:
    served = [pair for pair in judged if pair[1].serve]
    if not served:
        best = max(judged, key=lambda pair: pair[1].score)  # of equal ones the nearest
        said = judged[0][1].reason
        reason = refused or (said if said.startswith("guard=") else f"verifier={said}")
        return Miss(reason, nearest, best[1].score, Judged.of(*best))
    served.sort(key=lambda pair: -pair[1].score)  # stable: of equal ones the nearest
    chosen = choose([candidate for candidate, _ in served])
    verdict = next(verdict for candidate, verdict in served if candidate is chosen)
    return Hit(
        chosen.entry,
        "semantic",
        chosen.similarity,
        least,
        "semantic",
        verdict.score,
        Judged.of(chosen, verdict),
    )


def _refusal(
    question: str,
    candidate: Candidate,
    now: float,
    directives: Directives,
    settings: PolicySettings,
) -> str | None:
    if candidate.similarity < gate(directives, settings):
        return "below threshold"
    if candidate.entry.state:
        return candidate.entry.state
    stale = staleness(candidate.entry, now, directives)
    if stale is not None:
        return stale
    if not settings.guards_first:
        return None
    vetoed = guards.refusal(settings.guards, question, candidate.question)
    return None if vetoed is None else f"guard={vetoed[0]}"
