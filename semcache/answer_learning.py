"""What follows from a fresh answer beside a stored one: a label, an alias, a quarantine.

Blocking; `checking` decides when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from semcache.completion import Completion
from semcache.interfaces import Judged, Supervisor, Vector
from semcache.judging import LabelSource, is_one_text
from semcache.layers import Layers
from semcache.policy import Keep
from semcache.reply import Decided, Plan

_PART = 120  # words that an encoder's window surely holds
_PARTS = 8


@dataclass(frozen=True, slots=True)
class Learning:
    """Compares answers and acts on it."""

    layers: Layers
    supervisor: Supervisor

    def shadow(
        self, plan: Plan, decided: Decided, judged: Judged, weight: float, fresh: Completion
    ) -> None:
        """A miss was answered, and stored if it may be. Its question becomes one of the entry that
        says the same in other words: two wordings of one answer would be rivals.
        """
        question = plan.key.question or ""
        same = self._label(question, judged, weight, fresh, "shadow")
        if same and isinstance(decided.kept, Keep) and not _equal(judged, fresh):
            stored = self.layers.store.get(plan.key.exact)
            if stored is not None and self._alias(plan, decided, judged):
                # Found by its own words alone from now on.
                self.layers.memory.forget(stored.key)
                self.layers.store.put(replace(stored, id=0, embedder=None))
                self.layers.tally.add("alias")

    def audited(
        self,
        plan: Plan,
        decided: Decided,
        judged: Judged,
        weight: float,
        fresh: Completion,
        kept: Keep,
    ) -> None:
        """A hit was answered too: its question becomes one of the entry, or has its own answer."""
        same = self._label(plan.key.question or "", judged, weight, fresh, "audit")
        if same is False and judged.entry.scope.tenant == plan.key.scope.tenant:
            self.layers.quarantine(judged.entry.id)
            self.layers.tally.add("quarantined: audit")
            if plan.admission.write:
                self.layers.save(plan, fresh, kept, decided.encoded)
        elif same and plan.admission.write and self._alias(plan, decided, judged):
            self.layers.tally.add("alias")

    def _label(
        self,
        question: str,
        judged: Judged,
        weight: float,
        fresh: Completion,
        source: LabelSource,
    ) -> bool | None:
        stored = judged.entry.completion
        same = True if _equal(judged, fresh) else self._same(question, stored, fresh)
        if same is None:
            self.layers.tally.add("label: unclear")
            return None
        self.supervisor.record(judged, weight, not same, source)
        self.layers.tally.add(f"label: {source} {'right' if same else 'wrong'}")
        return same

    def _same(self, question: str, stored: Completion, fresh: Completion) -> bool | None:
        if not (is_one_text(stored) and is_one_text(fresh)):
            return None  # tool calls, several choices: equal or unknown
        one, other = self._vector(stored.text), self._vector(fresh.text)
        if one is None or other is None:
            return None
        return self.supervisor.same(question, stored.text, fresh.text, float(one @ other))

    def _vector(self, text: str) -> Vector | None:
        """The mean of an answer's parts, unit length; long answers by their beginning."""
        embedder = self.layers.embedder
        words = text.split()[: _PART * _PARTS]
        parts = [" ".join(words[at : at + _PART]) for at in range(0, len(words), _PART)]
        if embedder is None or not parts:
            return None
        vectors = [one.vector for one in embedder.encode(parts) if one.vector is not None]
        if not vectors:
            return None
        mean = np.mean(vectors, axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-6), dtype=np.float32)

    def _alias(self, plan: Plan, decided: Decided, judged: Judged) -> bool:
        question, encoded = plan.key.question, decided.encoded
        if judged.entry.scope.tenant != plan.key.scope.tenant:  # read, in a namespace: not ours
            return False
        if question is None or encoded is None or encoded.vector is None:
            return False
        return self.layers.store.add_alias(
            judged.entry.id, question, encoded.vector, encoded.sketch
        )


def _equal(judged: Judged, fresh: Completion) -> bool:
    stored = judged.entry.completion
    if is_one_text(stored) and is_one_text(fresh):
        return stored.text.split() == fresh.text.split()
    return _messages(stored) == _messages(fresh)


def _messages(completion: Completion) -> list[object]:
    return [choice.get("message") or choice.get("text") for choice in completion.choices]
