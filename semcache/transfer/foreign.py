"""Answers that another cache has stored, as entries that a request would have stored here.

Such a cache knows a question and its answer, not who asked which model under which system prompt:
that is said by whoever moves them. Key and scope are then those of a request with these words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from semcache import freshness, policy
from semcache.chat import ChatRequest
from semcache.completion import Completion, text_completion_of
from semcache.confirming import grounds_now
from semcache.errors import RequestError
from semcache.new_entry import entry_of
from semcache.policy import Skip
from semcache.reply import Plan
from semcache.transfer.bulk import Bulk
from semcache.whole import Whole


@dataclass(frozen=True, slots=True)
class Foreign:
    """One question with its answer: a text, or the whole completion. Times in Unix seconds."""

    number: int
    question: str
    answer: str | dict[str, Any]
    created_at: float
    used_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Adopting:
    """Stores what is foreign as the answers of a tenant's requests to a model.

    `plan` gives a request its place, as the cache would. `system`: the system prompt that all these
    questions were asked under, None for none.
    """

    bulk: Bulk
    plan: Callable[[ChatRequest], Plan]
    tenant: str
    model: str
    system: str | None = None

    def add(self, one: Foreign) -> None:
        """Take one in. Raises StoreError."""
        self.bulk.report.read += 1
        try:
            plan, whole = self._whole(one)
        except RequestError as error:
            self.bulk.refuse(one.number, error.message)
        else:
            self.bulk.add(one.number, whole, plan.timeliness)

    def _whole(self, one: Foreign) -> tuple[Plan, Whole]:
        if not one.question.strip():
            raise RequestError("Its question is empty.")
        messages: list[Any] = [{"role": "user", "content": one.question}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        body = {"model": self.model, "messages": messages}
        plan = self.plan(ChatRequest.from_wire(body, tenant=self.tenant))
        reason = plan.admission.reason
        if reason in freshness.FORBIDDEN:
            raise RequestError(f"Its answer may not be stored: {reason}.")
        completion = self._completion(one)
        settings, now = self.bulk.settings, one.created_at
        kept = policy.keep(completion, now, settings, request=plan.request)
        if isinstance(kept, Skip):
            raise RequestError(f"Its answer may not be stored: {kept.reason}.")
        completion = replace(completion, grounds=grounds_now(plan))  # as `/put` takes it
        entry = entry_of(plan, completion, kept, now, embedder=None, cost_s=0.0)
        return plan, Whole(replace(entry, used_at=max(now, one.used_at)))

    def _completion(self, one: Foreign) -> Completion:
        if not isinstance(one.answer, str):
            return Completion(one.answer)
        name, made = f"chatcmpl-moved-{one.number}", int(one.created_at)
        return text_completion_of(one.answer, id=name, created=made, model=self.model)
