"""From a request to its plan: who would answer it, whether it takes part, and under which key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semcache import freshness, policy
from semcache.chat import ChatRequest
from semcache.directives import NONE, Directives
from semcache.errors import ModelNotFound
from semcache.interfaces import Answerer
from semcache.keys import Extract, Source, request_key
from semcache.policy import PolicySettings
from semcache.reply import Plan

_NOBODY = Source()


@dataclass(slots=True)
class Planner:
    """Pure but for what the answerers say of themselves. `answerers` may be replaced."""

    answerers: Sequence[Answerer]
    settings: PolicySettings
    extract: Extract

    def plan(
        self,
        request: ChatRequest,
        directives: Directives = NONE,
        via: Answerer | None = None,
    ) -> Plan:
        """Route, admit and key a request; `via` answers what no configured answerer accepts.

        Raises ModelNotFound where nobody would answer it.
        """
        answerer = via
        for one in self.answerers:
            if one.accepts(request):
                answerer = one
                break
        if answerer is None and not directives.only_if_cached:
            raise ModelNotFound(_nobody_answers(request, self.answerers), param="model")
        source = _NOBODY if answerer is None else answerer.source(request)
        found = freshness.timeliness(request, self.settings)
        admission = policy.admit(request, directives, self.settings)
        per_user = freshness.per_user(found, self.settings)
        return Plan(
            request=request,
            directives=directives,
            admission=freshness.admit(admission, found, request, self.settings),
            answerer=answerer,
            key=request_key(request, source, self.extract, per_user=per_user),
            timeliness=found,
        )


def _nobody_answers(request: ChatRequest, answerers: Sequence[Answerer]) -> str:
    if not answerers:
        return "No engine is configured to answer a question that is not in the cache."
    names = [name for answerer in answerers for name in answerer.models()]
    known = ", ".join(names) or "none by name"
    return f"The model '{request.model}' does not exist here. Models: {known}."
