"""A stream of requests through a cache that starts empty: the loop that all policies share.

Every policy sees the same embeddings and judges the same candidate: the answer of the nearest
stored question. The policies differ in what they serve, and so in what their stores hold. What
is not served is answered by the engine, which tells whether the candidate would have been right;
what is served tells nothing, unless the policy pays for an audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NEAREST = 16

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Requests:
    """Unit vectors (n, dim); which answer each needs and which text it is, as numbers (n,)."""

    vectors: NDArray[np.float32]
    answers: Ints
    texts: Ints

    def ordered(self, order: Ints) -> Requests:
        """The same requests in another order."""
        return Requests(self.vectors[order], self.answers[order], self.texts[order])


@dataclass(frozen=True, slots=True)
class Near:
    """The stored questions nearest to a request, nearest first.

    `similarities` are cosines; `answers` name the answers they were stored with; `keys` number
    them in the order in which they were stored. `same_text`: the nearest is the very same text.
    """

    similarities: NDArray[np.float32]
    answers: Ints
    keys: Ints
    same_text: bool


class Policy(Protocol):
    """Decides on the nearest answer, from what it was told before."""

    def serve(self, near: Near) -> bool:
        """Whether the nearest answer is served."""
        ...

    def audit(self, near: Near) -> bool:
        """Whether what was just served is answered by the engine as well."""
        ...

    def learn(self, near: Near, served: bool, right: bool) -> bool:
        """Told whether the nearest answer is right; whether to store the question as a key."""
        ...


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to each request, (n,) each."""

    served: Flags
    wrong: Flags
    audited: Flags

    def summary(self) -> dict[str, float]:
        """Shares of all requests, and of the hits."""
        hits = int(self.served.sum())
        return {
            "hits": hits / len(self.served),
            "wrong_per_request": float(self.wrong.mean()),
            "wrong_per_hit": int(self.wrong.sum()) / hits if hits else 0.0,
            "audits": float(self.audited.mean()),
        }

    def over_time(self, points: int) -> list[dict[str, float]]:
        """The summary of each of `points` equal stretches, in order."""
        edges = np.linspace(0, len(self.served), points + 1).astype(int)
        rows = []
        for begin, end in pairwise(edges):
            if end > begin:
                part = slice(begin, end)
                trace = Trace(self.served[part], self.wrong[part], self.audited[part])
                rows.append({"requests": int(end), **trace.summary()})
        return rows


class _Memory:
    """The stored questions of one run; vectors in one block that grows by rows."""

    def __init__(self, requests: Requests) -> None:
        self._vectors = np.empty_like(requests.vectors)
        self._answers = np.empty_like(requests.answers)
        self._texts = np.empty_like(requests.texts)
        self.size = 0

    def store(self, requests: Requests, at: int) -> None:
        for mine, theirs in (
            (self._vectors, requests.vectors),
            (self._answers, requests.answers),
            (self._texts, requests.texts),
        ):
            mine[self.size] = theirs[at]
        self.size += 1

    def near(self, vector: NDArray[np.float32], text: int) -> Near:
        cosines = self._vectors[: self.size] @ vector
        count = min(NEAREST, self.size)
        nearest = np.argpartition(-cosines, count - 1)[:count]
        nearest = nearest[np.argsort(-cosines[nearest], kind="stable")]
        same = bool(self._texts[nearest[0]] == text)
        return Near(cosines[nearest], self._answers[nearest], nearest, same)


def play(policy: Policy, requests: Requests) -> Trace:
    """Send the requests in order. Of what is served without audit the policy learns nothing."""
    count = len(requests.answers)
    trace = Trace(*(np.zeros(count, dtype=np.bool_) for _ in range(3)))
    memory = _Memory(requests)
    for at in range(count):
        if not memory.size:
            memory.store(requests, at)
            continue
        near = memory.near(requests.vectors[at], int(requests.texts[at]))
        right = bool(near.answers[0] == requests.answers[at])
        served = policy.serve(near)
        trace.served[at] = served
        trace.wrong[at] = served and not right
        trace.audited[at] = served and policy.audit(near)
        if (not served or trace.audited[at]) and policy.learn(near, served, right):
            memory.store(requests, at)
    return trace
