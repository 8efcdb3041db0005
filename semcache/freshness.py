"""How long an answer that changes may be served, and to whom: pure, from a question's Timeliness.

    timeliness   of a request, by its text
    admit        may a request with such a question use the cache at all?
    keep         until when may such an answer be stored?
    while_revalidating  which stale answer is served while another is made?
    wishes       how old may an entry be that answers such a question in other words?
    instead_of_an_error  which stale answer is better than none?

A personal answer changes too: what holds for volatile answers holds for it, inside its user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from semcache.chat import ChatRequest, message_text
from semcache.directives import Directives
from semcache.interfaces import Entry, Hit, Miss, Vector
from semcache.keys import identity
from semcache.policy import Admission, Keep, Keeping, PolicySettings, Skip
from semcache.volatile import LASTING, Timeliness, classify, packaged_probe

FORBIDDEN = frozenset({"volatile", "personal"})
"""Reasons of an Admission: no answer to such a question is looked up or stored."""

_REFUSED = {"momentary": "volatile", "volatile": "volatile", "personal": "personal"}


def timeliness(request: ChatRequest, settings: PolicySettings) -> Timeliness:
    """By the rules, without a vector. A conversation is personal if any turn of the user's is.

    Earlier turns make nothing volatile: the answer to a tool's result, or to a pasted text, is the
    same tomorrow; what changes is asked for in the last turn.
    """
    whose = settings.personal != "off"
    if not whose and settings.volatile == "off":
        return LASTING
    worst = LASTING
    for last, text in _asked(request):
        found = classify(text, whose=whose)
        if found.kind == "personal":
            return found
        if last and found.kind != "lasting" and settings.volatile != "off":
            worst = found if worst.kind != "momentary" else worst
    return worst


def _asked(request: ChatRequest) -> Iterator[tuple[bool, str]]:
    """What the user said: (whether it is what is asked now, the text)."""
    if not request.messages:
        prompt = request.options.get("prompt")
        for text in prompt if isinstance(prompt, list) else ():
            if isinstance(text, str):
                yield True, text
    end = len(request.messages) - 1
    for at, message in enumerate(request.messages):
        if message.get("role") == "user":
            yield at == end, message_text(message)


def by_vector(
    known: Timeliness,
    question: str | None,
    vector: Vector | None,
    encoder: str | None,
    settings: PolicySettings,
) -> Timeliness:
    """What the rules said, or, where they were silent, what the probe for this encoder hears."""
    if known.kind != "lasting" or settings.volatile == "off":
        return known
    if question is None or vector is None or encoder is None:
        return known
    return classify(question, vector, packaged_probe(encoder), whose=False)


def per_user(found: Timeliness, settings: PolicySettings) -> bool:
    """Whether the user that the request names is part of its key."""
    return found.kind == "personal" and settings.personal in {"user", "tenant"}


def admit(
    admission: Admission, found: Timeliness, request: ChatRequest, settings: PolicySettings
) -> Admission:
    """`policy.admit`'s decision, less what the question forbids."""
    reason = _refusal(found, settings)
    if reason is None and found.kind == "personal" and settings.personal == "user":
        reason = None if identity(request) else "personal"
    if reason is None:
        return admission
    return Admission(read=False, write=False, reason=reason)


def _refusal(found: Timeliness, settings: PolicySettings) -> str | None:
    """Why no answer to such a question is kept at all, or None."""
    if found.kind == "lasting":
        return None
    if found.kind == "personal" and settings.personal == "bypass":
        return "personal"
    if settings.volatile == "off":
        return None
    if settings.volatile == "bypass" or found.kind == "momentary":
        return _REFUSED[found.kind]
    return None


def keep(kept: Keep, found: Timeliness, now: float, settings: PolicySettings) -> Keeping:
    """`policy.keep`'s decision, shorter or refused where the answer changes."""
    reason = _refusal(found, settings)
    if reason is not None:
        return Skip(reason)
    if found.kind == "lasting" or settings.volatile == "off":
        return kept
    soon = now + settings.volatile_ttl_s
    ends = soon if kept.expires_at is None else min(kept.expires_at, soon)
    return Keep(ends, _NEVER_STALE)


def refuses(found: Timeliness, settings: PolicySettings) -> bool:
    """Whether no stored answer may be served for such a question."""
    return _refusal(found, settings) is not None


def wishes(directives: Directives, found: Timeliness, settings: PolicySettings) -> Directives:
    """The caller's directives, with the age that a changing answer may have at most.

    The entry may belong to a question that nobody took for volatile, and never expire.
    """
    if found.kind == "lasting" or settings.volatile == "off":
        return directives
    asked, most = directives.max_age_s, settings.volatile_ttl_s
    return replace(directives, max_age_s=most if asked is None else min(asked, most))


_OUTAGES = frozenset({500, 502, 503, 504})
_NEVER_STALE = -1.0
STALE_WHILE_REVALIDATE = "stale-while-revalidate"


def while_revalidating(
    miss: Hit | Miss,
    now: float,
    request: ChatRequest,
    directives: Directives,
    settings: PolicySettings,
) -> Hit | None:
    """The stale answer that is served while another is made, or None (RFC 5861, section 3)."""
    entry = miss.stale if isinstance(miss, Miss) else None
    if entry is None or entry.expires_at is None or not _may_be_stale(entry, request, settings):
        return None
    own = entry.stale_s
    bounds = (
        settings.stale_while_revalidate_s if own is None else own,
        directives.stale_while_revalidate_s,
    )
    if now - entry.expires_at >= min(bound for bound in bounds if bound is not None):
        return None
    return Hit(entry, "exact", 1.0, 1.0, STALE_WHILE_REVALIDATE)


def instead_of_an_error(
    miss: Miss,
    status: int,
    now: float,
    request: ChatRequest,
    directives: Directives,
    settings: PolicySettings,
) -> Entry | None:
    """The stale answer that is better than an error with this status, or None (RFC 5861, 4)."""
    entry = miss.stale
    if entry is None or entry.expires_at is None or status not in _OUTAGES:
        return None
    if not _may_be_stale(entry, request, settings):
        return None
    bounds = (settings.stale_if_error_s, directives.stale_if_error_s)
    most = min(bound for bound in bounds if bound is not None)
    return entry if now - entry.expires_at < most else None


def _may_be_stale(entry: Entry, request: ChatRequest, settings: PolicySettings) -> bool:
    """Whether an answer says anything when its time is over: yesterday's weather does not.

    An entry of an earlier version does not say so itself: it lived as short as what changes.
    """
    if entry.stale_s is not None and entry.stale_s < 0:
        return False
    if settings.volatile == "off" or entry.expires_at is None:
        return True
    soon, ttl = settings.volatile_ttl_s, settings.life_s(request.model, request.route)
    changes = ttl is None or ttl > soon
    return not (changes and entry.expires_at - entry.created_at <= soon)
