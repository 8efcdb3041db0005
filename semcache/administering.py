"""What an operator does with the entries of all tenants: look, find, withdraw, set free.

Blocking, and for any store. What is withdrawn is withdrawn from memory too, and other processes see
it by the store's version. Raises StoreError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from semcache import freshness
from semcache.chat import text_request
from semcache.directives import NONE
from semcache.entry import Candidate, Entry
from semcache.errors import RequestError, UnknownAnswer
from semcache.explanation import explain, scope_digests
from semcache.grounds import documents_of
from semcache.interfaces import Asked, Embedder
from semcache.keys import RequestKey, Scope
from semcache.layers import Layers
from semcache.policy import Admission, matchable
from semcache.reply import Plan
from semcache.selection import Selection, condition_of

SAMPLE = 20
SCOPES_SEARCHED = 2000
_AT_ONCE = 500
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Administration:
    """The operator's view of the layers."""

    layers: Layers

    def entries(self, wanted: Selection, before: int | None, most: int) -> dict[str, Any]:
        """A page of entries, newest first; `next` is the `before` of the page after it."""
        found = self.layers.store.select(wanted, before, most + 1)
        page = found[:most]
        return {
            "object": "list",
            "data": [told(entry, wanted.now) for entry in page],
            "has_more": len(found) > most,
            "next": page[-1].id if len(found) > most else None,
        }

    def entry(self, entry_id: int) -> dict[str, Any]:
        """One entry, whole. Raises UnknownAnswer."""
        entry = self._entry(entry_id)
        now = self.layers.clock()
        return {
            **told(entry, now, shown=None),
            "scope": scope_digests(entry.scope),
            "variant": entry.variant,
            "completion": entry.completion.wire,
        }

    def delete(self, entry_id: int) -> int:
        """Delete one entry. Raises UnknownAnswer."""
        return self.layers.remove([self._entry(entry_id).key])

    def quarantine(self, entry_id: int) -> dict[str, Any]:
        """Never serve it again, but keep it. Raises UnknownAnswer."""
        self._entry(entry_id)
        return self._changed(self.layers.quarantine(entry_id))

    def release(self, entry_id: int) -> dict[str, Any]:
        """Undo a quarantine. Raises UnknownAnswer."""
        self._entry(entry_id)
        return self._changed(self.layers.store.release(entry_id))

    def why(self, entry_id: int, question: str | None) -> dict[str, Any]:
        """How `question` (the entry's own, if None) would be answered in the entry's scope.

        Raises UnknownAnswer, RequestError for an entry without a question, EmbeddingError.
        """
        entry = self._entry(entry_id)
        asked = question if question is not None else entry.question
        if asked is None:
            message = "This entry answers equal requests only: it has no question of its own."
            raise RequestError(message, param="question")
        request = text_request(asked, tenant=entry.scope.tenant, model=entry.scope.model)
        exact = entry.key if asked == entry.question else ""
        plan = Plan(
            request=request,
            directives=NONE,
            admission=Admission(read=True, write=False),
            answerer=None,
            key=RequestKey(exact, entry.scope, asked),
            timeliness=freshness.timeliness(request, self.layers.settings),
        )
        return explain(self.layers, plan)

    # -------------------------------------------------------------------------------- by meaning

    def nearest(self, question: str, k: int, tenant: str | None) -> dict[str, Any]:
        """The entries nearest to a question, of all scopes of one tenant or of all.

        Quarantined ones are not found. Raises RequestError where a question has no meaning here,
        EmbeddingError.
        """
        asked = self._asked(question)
        scopes = self._scopes(tenant)
        searched = scopes[:SCOPES_SEARCHED]
        found: list[Candidate] = []
        for scope in searched:
            found.extend(self.layers.store.search(scope, asked.vector, k))
            found.sort(key=lambda one: -one.similarity)
            del found[k:]
        now = self.layers.clock()
        return {
            "object": "list",
            "question": question,
            "threshold": self.layers.settings.threshold,
            "scopes_searched": len(searched),
            "scopes_left_out": len(scopes) - len(searched),
            "data": [
                {
                    "similarity": round(one.similarity, 4),
                    "matched": one.question,
                    **told(one.entry, now),
                }
                for one in found
            ],
        }

    def _asked(self, question: str) -> Asked:
        embedder: Embedder | None = self.layers.embedder
        if embedder is None:
            message = "This cache has no encoder (evaluation: exact): nothing is found by meaning."
            raise RequestError(message, param="question")
        encoded = embedder.encode([question])[0]
        unfit = matchable(encoded, self.layers.settings)
        if unfit is not None or encoded.vector is None:
            raise RequestError(f"The question cannot be matched: {unfit}.", param="question")
        return Asked(question, encoded.vector, encoded.sketch)

    def _scopes(self, tenant: str | None) -> list[Scope]:
        store = self.layers.store
        if tenant is not None:
            return store.scopes(tenant, SCOPES_SEARCHED + 1)
        tenants = dict.fromkeys(one.tenant for one in store.holdings(SCOPES_SEARCHED))
        return [scope for one in tenants for scope in store.scopes(one, SCOPES_SEARCHED)]

    # ------------------------------------------------------------------------------------ in bulk

    def invalidate(
        self,
        wanted: Selection,
        keys: Sequence[str] = (),
        ids: Sequence[int] = (),
        *,
        dry_run: bool,
    ) -> dict[str, Any]:
        """Delete what is meant; of the entries with these ids or keys only, where some are given.

        A key may be the first half of one. What is put meanwhile under the key of an entry that
        goes, goes with it. Says how many, and which the first are.
        """
        count = 0
        sample: list[Entry] = []
        for found in self._meant(wanted, keys, ids):
            count += len(found) if dry_run else self.layers.remove([one.key for one in found])
            sample.extend(found[: SAMPLE - len(sample)])
        now = self.layers.clock()
        return {
            "object": "cache.invalidation",
            "dry_run": dry_run,
            "count": count,
            "sample": [told(entry, now) for entry in sample],
        }

    def _meant(
        self, wanted: Selection, keys: Sequence[str], ids: Sequence[int]
    ) -> Iterator[list[Entry]]:
        """In batches, each entry once."""
        if not (keys or ids):
            yield from self._pages(wanted)
            return
        found: dict[int, Entry] = {}
        for entry_id in ids:
            entry = self.layers.store.by_id(entry_id)
            if entry is not None and wanted.holds(entry):
                found[entry_id] = entry
        for key in keys:
            for page in self._pages(replace(wanted, key=key)):
                found.update((one.id, one) for one in page)
        yield list(found.values())

    def _pages(self, wanted: Selection) -> Iterator[list[Entry]]:
        before: int | None = None
        while found := self.layers.store.select(wanted, before, _AT_ONCE):
            before = found[-1].id
            yield found

    def _entry(self, entry_id: int) -> Entry:
        entry = self.layers.store.by_id(entry_id) if 0 < entry_id < 2**63 else None
        if entry is None:
            raise UnknownAnswer("No entry has this id: it may have been deleted.", param="id")
        return entry

    def _changed(self, entry: Entry | None) -> dict[str, Any]:
        if entry is None:
            raise UnknownAnswer("The entry was deleted meanwhile.", param="id")
        return told(entry, self.layers.clock())


def told(entry: Entry, now: float, *, shown: int | None = _SHOWN) -> dict[str, Any]:
    """An entry for JSON; of question and answer the first `shown` characters."""
    question, answer = entry.question, entry.completion.text
    return {
        "id": entry.id,
        "key": entry.key,
        "tenant": entry.scope.tenant,
        "model": entry.scope.model,
        "answerer": entry.scope.source.answerer,
        "question": question if question is None else question[:shown],
        "answer": answer[:shown],
        "cut": shown is not None and max(len(question or ""), len(answer)) > shown,
        "condition": condition_of(entry, now),
        "created_at": entry.created_at,
        "age_s": round(now - entry.created_at, 3),
        "expires_at": entry.expires_at,
        "used_at": entry.used_at,
        "hits": entry.hits,
        "cost_s": round(entry.cost_s, 4),
        "namespace": entry.detail.get("namespace"),
        "sources": len(documents_of(entry.sources)),
    }
