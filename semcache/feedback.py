"""A person's verdict on an answer: what it is about, and what becomes of the entry.

wrong   the entry is quarantined, and never serves the question again that it was wrong for; where
        a verifier served it, the pair is a label for the supervisor
right   a label too, and the question, asked in other words, becomes one more key of the answer

Ids are looked up inside the caller's tenant only: another tenant's id is as unknown as none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from semcache import policy
from semcache.decisions import Decisions, Served
from semcache.errors import RequestError, UnknownAnswer
from semcache.interfaces import Entry, Supervisor
from semcache.journal import Remark, Verdict
from semcache.layers import Layers

MAX_COMMENT = 4000
_VERDICTS: Mapping[str, Verdict] = {"right": "right", "wrong": "wrong"}
_UNKNOWN = (
    "No answer with this id is known here. Decision and response ids are kept for the last few "
    "thousand answers of a running process; an entry id (x-semcache-entry-id) as long as its entry."
)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a caller said: `id` is a decision's, a response's or an entry's."""

    id: str | int
    verdict: Verdict
    comment: str | None = None


def read_feedback(body: object) -> Feedback:
    """Parse `{"id", "verdict", "comment"?}`. Raises RequestError, naming the field."""
    if not isinstance(body, dict):
        raise RequestError("The request body must be a JSON object.")
    for name in body:
        if name not in ("id", "verdict", "comment"):
            raise RequestError(f"Unknown field '{name}': id, verdict, comment.", param=str(name))
    id_, verdict, comment = body.get("id"), body.get("verdict"), body.get("comment")
    if isinstance(id_, bool) or not isinstance(id_, str | int) or not 0 < len(str(id_)) <= 200:
        message = "'id' must be a decision id, an entry id or the id of a response."
        raise RequestError(message, param="id")
    if not isinstance(verdict, str) or verdict not in _VERDICTS:
        raise RequestError("'verdict' must be 'right' or 'wrong'.", param="verdict")
    if comment is not None and (not isinstance(comment, str) or len(comment) > MAX_COMMENT):
        message = f"'comment' must be a text of at most {MAX_COMMENT} characters."
        raise RequestError(message, param="comment")
    return Feedback(id_, _VERDICTS[verdict], comment)


@dataclass(frozen=True, slots=True)
class FeedbackDesk:
    """Takes verdicts. Blocking, and safe to call from several threads."""

    layers: Layers
    decisions: Decisions
    supervisor: Supervisor | None
    clock: Callable[[], float]

    def take(self, tenant: str, said: Feedback) -> dict[str, Any]:
        """Carry a verdict out; durable when this returns. What was done, for JSON.

        Raises UnknownAnswer, and StoreError where it cannot be kept.
        """
        name = str(said.id)
        served = self._served(tenant, name)
        entry = self.layers.store.by_id(served.entry_id)
        is_news = self.decisions.is_news(name, said.verdict)
        self.layers.journal.add(
            Remark(
                at=self.clock(),
                tenant=tenant,
                entry_id=served.entry_id,
                entry_key=served.entry_key,
                verdict=said.verdict,
                asked=served.asked,
                stored=served.stored,
                comment=said.comment,
            )
        )
        if said.verdict == "wrong":
            done = {"quarantined": self.layers.quarantine(served.entry_id) is not None}
        else:
            done = {"alias": entry is not None and self._add_alias(served, entry)}
        label = is_news and self._label(served, entry, said.verdict)
        self.layers.tally.add(f"feedback: {said.verdict}")
        return {
            "object": "cache.feedback",
            "id": said.id,
            "verdict": said.verdict,
            "entry_id": served.entry_id,
            "pair": served.asked is not None,
            **done,
            "label": label,
        }

    def _served(self, tenant: str, name: str) -> Served:
        found = self.decisions.find(name)
        if found is None:
            entry = self._entry(tenant, name)
            if entry is not None:
                found = Served(entry.scope.tenant, "exact", entry.id, entry.key)
        if found is None or found.tenant != tenant:
            raise UnknownAnswer(_UNKNOWN, param="id")
        return found

    def _entry(self, tenant: str, name: str) -> Entry | None:
        store = self.layers.store
        if name.isascii() and name.isdigit():
            number = int(name)
            return store.by_id(number) if number < 2**63 else None
        key = self.decisions.stored_under(tenant, name)
        return None if key is None else store.get(key)

    def _add_alias(self, served: Served, entry: Entry) -> bool:
        """A confirmed paraphrase leads to the entry from now on; not to a doubted one."""
        embedder = self.layers.embedder
        if served.asked is None or entry.state or embedder is None:
            return False
        if entry.embedder != embedder.fingerprint:
            return False
        encoded = embedder.encode([served.asked])[0]
        if encoded.vector is None or policy.matchable(encoded, self.layers.settings) is not None:
            return False
        return self.layers.store.add_alias(entry.id, served.asked, encoded.vector, encoded.sketch)

    def _label(self, served: Served, entry: Entry | None, verdict: Verdict) -> bool:
        judged = served.judged
        if self.supervisor is None or judged is None:
            return False
        whole = judged if entry is None else replace(judged, entry=entry)
        self.supervisor.record(whole, 1.0, verdict == "wrong", "feedback")
        return True
