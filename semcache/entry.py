"""What is stored, and what is found: values that every store, verifier and decision shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from semcache.completion import Completion
from semcache.keys import Scope
from semcache.sketch import Sketch

Vector: TypeAlias = NDArray[np.float32]
Tier = Literal["exact", "semantic"]
State = Literal["", "quarantined", "refuted"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored answer.

    `id` is 0 until the store gives one. `key` is the exact key; a second put under the same key
    replaces the first. `question` is None for an entry that may be matched exactly only, and so is
    `embedder` (the fingerprint of the encoder that made its vector). `expires_at` None: never.
    `cost_s` is what the answer cost to make, in seconds. `hits` and `used_at` lag behind by the
    store's flush interval. What is quarantined is kept and never served. "refuted" is never stored:
    it marks a candidate whose answer somebody called wrong for the question in hand.

    `sources` say what documents the answer rests on (`grounds.Grounds.sources`). `variant` is 0, or
    which of several answers to one request this is. `writer` is a digest of who had it stored, None
    where nobody else may be given it. `stale_s`: so many seconds after `expires_at` it may be
    served while another is made; None for what the policy says, negative for an answer that is
    wrong when its time is over, also where no other can be made. `detail` is a small JSON object.
    """

    key: str
    scope: Scope
    question: str | None
    completion: Completion
    created_at: float
    expires_at: float | None = None
    embedder: str | None = None
    cost_s: float = 0.0
    id: int = 0
    hits: int = 0
    used_at: float = 0.0
    state: State = ""
    sources: tuple[str, ...] = ()
    variant: int = 0
    writer: str | None = None
    stale_s: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored entry and the cosine of its question with the one asked.

    `sketch` is of that question; None where it has none, or the store was opened without. `alias`
    is the other question that was nearer than the entry's own, if one was (`Store.add_alias`).
    """

    entry: Entry
    similarity: float
    sketch: Sketch | None = None
    alias: str | None = None

    @property
    def question(self) -> str:
        """The stored question that `similarity` and `sketch` are of."""
        return self.entry.question or "" if self.alias is None else self.alias
