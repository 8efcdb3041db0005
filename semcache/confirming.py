"""Whether an answer that was made from documents still holds, now that the documents are others.

It does if its own question would be given the same passages now. What its question was is known
where the request in hand has it: for an exact hit, and for a near-duplicate in a conversation that
is equal but for the last question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from semcache.chat import TEXT_PARTS, ChatRequest
from semcache.errors import Declined, RequestError
from semcache.grounds import Grounds, base_of
from semcache.interfaces import Candidate, Entry, FromDocuments, Hit, Miss, Store
from semcache.keys import question
from semcache.reply import Plan

_REMEMBERED = 10_000
_TRIED = 3

Found: TypeAlias = Hit | Miss
_Get: TypeAlias = Callable[[str], Entry | None]


class Outdated:
    """Entries that do not hold for a state of the documents, so that each is looked at once.

    Bounded; what is forgotten is looked at again. Safe from several threads.
    """

    def __init__(self) -> None:
        self._bases: dict[int, str] = {}

    def add(self, entry: Entry, plan: Plan) -> None:
        """It does not hold for the documents that the plan's answerer has."""
        if len(self._bases) >= _REMEMBERED:
            self._bases.clear()
        self._bases[entry.id] = plan.key.scope.source.base

    def leaving(self, get: _Get, plan: Plan) -> _Get:
        """A lookup by key that does not find what does not hold."""

        def got(key: str) -> Entry | None:
            entry = get(key)
            hidden = entry is not None and self._bases.get(entry.id) == plan.key.scope.source.base
            return None if hidden else entry

        return got

    def without(self, found: list[Candidate], plan: Plan) -> list[Candidate]:
        """Those of the candidates that may hold."""
        if not self._bases:
            return found
        base = plan.key.scope.source.base
        return [one for one in found if self._bases.get(one.entry.id) != base]


class Keeping(Protocol):
    """Where entries lie, and what is known of them."""

    @property
    def store(self) -> Store: ...

    @property
    def outdated(self) -> Outdated: ...

    def failed(self, layer: str) -> None:
        """Count and log the exception in hand."""
        ...


def is_current(plan: Plan, entry: Entry) -> bool:
    """Whether the entry is known to hold for the documents as they are now."""
    return base_of(entry.sources) == plan.key.scope.source.base


def standing(plan: Plan, found: Found, kept: Keeping) -> Found:
    """What was found, if it holds; a miss otherwise, and where that cannot be told."""
    entry = found.entry if isinstance(found, Hit) else found.stale
    if entry is None or is_current(plan, entry):
        return found
    try:
        now = grounds_now(plan, entry)
        if now is not None and now.agree_with(entry.sources):
            kept.store.set_sources(entry.id, now.sources)
            entry = replace(entry, sources=now.sources)
            return replace(found, entry=entry) if isinstance(found, Hit) else found
        kept.outdated.add(entry, plan)
    except Exception:
        kept.failed("knowledge")
    near = found.similarity if isinstance(found, Hit) and found.tier == "semantic" else None
    return Miss("knowledge", near)


def nearest_standing(plan: Plan, nearest: Callable[[], Found], kept: Keeping) -> Found:
    """The nearest; where the documents leave nothing of its answer, the next one."""
    for _ in range(_TRIED):
        found = nearest()
        decision = standing(plan, found, kept)
        if isinstance(found, Miss) or isinstance(decision, Hit):
            break
    return decision


def grounds_now(plan: Plan, entry: Entry | None = None) -> Grounds | None:
    """What an answer to the request, or to the entry's question, would rest on now.

    None where that cannot be known, or nobody would answer from documents. Blocks for
    milliseconds. Raises StoreError.
    """
    if not isinstance(plan.answerer, FromDocuments):
        return None
    request = plan.request
    if entry is not None and entry.key != plan.key.exact and not entry.variant:
        if entry.question is None or question(request) != plan.key.question:
            return None  # the question is only a part of what was said
        request = _asking(request, entry.question)
    try:
        return plan.answerer.grounds(request)
    except Declined as error:
        return Grounds(error.base, "")
    except RequestError:
        return None


def _asking(request: ChatRequest, text: str) -> ChatRequest:
    """The same conversation with another last question."""
    *earlier, last = request.messages
    content: Any = text
    if isinstance(last.get("content"), list):
        others = [part for part in last["content"] if part.get("type") not in TEXT_PARTS]
        content = [{"type": "text", "text": text}, *others]
    return replace(request, messages=(*earlier, {**last, "content": content}))
