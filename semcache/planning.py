"""From a request to its plan: who would answer it, whether it takes part, and under which key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from semcache import freshness, pacing, policy
from semcache.chat import ChatRequest
from semcache.directives import Directives
from semcache.errors import ModelNotFound
from semcache.interfaces import Answerer
from semcache.keys import Extract, Source, request_key
from semcache.policy import PolicySettings
from semcache.reply import Plan
from semcache.succession import Succession
from semcache.trace import CURRENT

_NOBODY = Source()


def plan_of(
    request: ChatRequest,
    directives: Directives,
    answerers: Sequence[Answerer],
    via: Answerer | None,
    settings: PolicySettings,
    extract: Extract,
) -> Plan:
    """Route, admit and key a request; `via` answers what none of `answerers` accepts.

    Pure but for what the answerers say of themselves. Raises ModelNotFound where nobody would
    answer it.
    """
    started = perf_counter()
    answerer = _asked(request, answerers) or via
    if answerer is None and not directives.only_if_cached:
        raise ModelNotFound(_nobody_answers(request, answerers), param="model")
    source = _NOBODY if answerer is None else answerer.source(request)
    found = freshness.timeliness(request, settings)
    admission = policy.admit(request, directives, settings)
    per_user = freshness.per_user(found, settings)
    part, shared = directives.namespace, None
    caller = request.caller
    if caller is not None and caller.shared and found.kind != "personal":  # nobody's to share
        there = replace(request, tenant=caller.shared)
        shared = request_key(there, source, extract, per_user=per_user, namespace=part)
    return Plan(
        request=request,
        directives=directives,
        admission=freshness.admit(admission, found, request, settings),
        answerer=answerer,
        key=request_key(request, source, extract, per_user=per_user, namespace=part),
        shared=shared,
        timeliness=found,
        pace=pacing.wanted(directives.replay, settings.replay) if request.stream else None,
        started=started,
        trace=CURRENT.get(),
    )


def _asked(request: ChatRequest, answerers: Sequence[Answerer]) -> Answerer | None:
    """The first that accepts; those after it are asked where it declines."""
    accepting = [one for one in answerers if one.accepts(request)]
    if len(accepting) < 2:
        return accepting[0] if accepting else None
    return Succession(accepting)


def _nobody_answers(request: ChatRequest, answerers: Sequence[Answerer]) -> str:
    if not answerers:
        return "No engine is configured to answer a question that is not in the cache."
    names = [name for answerer in answerers for name in answerer.models()]
    known = ", ".join(names) or "none by name"
    return f"The model '{request.model}' does not exist here. Models: {known}."
