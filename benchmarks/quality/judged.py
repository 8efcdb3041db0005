"""The product's own path through a stream: its guards, verifier, certified judge and labels.

Everything that decides is the library's, wired as `trust.max_wrong_rate` wires it; only store and
engine are replaced, by arrays and by the stream's intents. Each intent has one answer in `wordings`
different texts; what the engine says is one of them by lot, and two answers are compared as the
product compares them, by their texts. A question whose answer says the same as the stored one in
other words becomes a question of that entry, as in the product.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.stream import Ints, Trace
from semcache import policy
from semcache.chat import text_request
from semcache.completion import Completion, text_completion_of
from semcache.config import CERTIFIED_AROUND
from semcache.directives import NONE
from semcache.guards import DEFAULT_GUARDS, refusal
from semcache.interfaces import (
    Asked,
    Candidate,
    Encoded,
    Entry,
    Hit,
    Judged,
    Miss,
    Supervisor,
    Vector,
)
from semcache.keys import request_key
from semcache.policy import PolicySettings
from semcache.verify.certified import Guarding
from semcache.verify.certify import Per, Terms
from semcache.verify.opening import open_judge
from semcache.verify.verifier import PairVerifier

SETTINGS = PolicySettings(guards_first=False, around=CERTIFIED_AROUND)
SECONDS = 10.0  # between two requests
WORDINGS = (
    "Please use form {}.",
    "Form {} is the one that you need for this.",
    "For this you need form {}, please.",
)
_KEY = request_key(text_request("benchmark", tenant="benchmark", model="benchmark"))


@dataclass(frozen=True, slots=True)
class Told:
    """A stream as the product sees it: texts, what the encoder says of them, what is right."""

    texts: Sequence[str]
    encoded: Mapping[str, Encoded]
    answers: Ints
    embedder: str
    said: Mapping[str, Vector]


@dataclass(frozen=True, slots=True)
class Bound:
    """What is asked for, and how; the names are those of the section `trust:`."""

    max_wrong_rate: float
    per: Per
    audit_share: float
    guards: str = "veto"
    wordings: int = 1


def form(answer: int, wording: int) -> str:
    """The text of an answer. Its number is all that it is known by."""
    return WORDINGS[wording].format(answer + 1_000_000)


def all_forms(answers: Ints) -> list[str]:
    """Every text that the engine may say."""
    return [form(int(answer), at) for answer in np.unique(answers) for at in range(len(WORDINGS))]


class _Cache:
    """What is stored: vectors in one block that grows by rows, and the entries beside them."""

    def __init__(self, told: Told, dim: int) -> None:
        self._told = told
        self._vectors = np.zeros((len(told.texts), dim), dtype=np.float32)
        self._entries: list[Entry] = []
        self.known: dict[str, str] = {}

    def store(self, question: str, text: str, answer: Completion) -> None:
        """A question with its answer; `text` is what an exact repeat gets."""
        self.known[question] = text
        vector = self._told.encoded[question].vector
        if vector is None:
            return
        self._vectors[len(self._entries)] = vector
        self._entries.append(
            Entry(question, _KEY.scope, question, answer, 0.0, embedder=self._told.embedder)
        )

    def near(self, question: str) -> list[Candidate]:
        """The nearest, nearest first."""
        vector, size = self._told.encoded[question].vector, len(self._entries)
        if vector is None or not size:
            return []
        cosines = self._vectors[:size] @ vector
        count = min(CERTIFIED_AROUND, size)
        nearest = np.argpartition(-cosines, count - 1)[:count]
        nearest = nearest[np.argsort(-cosines[nearest], kind="stable")]
        return [
            Candidate(
                self._entries[at],
                float(cosines[at]),
                self._told.encoded[self._entries[at].question or ""].sketch,
            )
            for at in nearest.tolist()
        ]

    def quarantine(self, entry: Entry) -> None:
        """Its row goes; the question is answered anew when it comes again."""
        at = next((at for at, one in enumerate(self._entries) if one is entry), None)
        if at is None:
            return
        del self._entries[at]
        self._vectors[at:-1] = self._vectors[at + 1 :].copy()
        self.known.pop(entry.key, None)


def play_judged(told: Told, bound: Bound, seed: int) -> tuple[Trace, list[str]]:
    """Send the requests in order; also the certificate in force after each tenth of them."""
    count = len(told.texts)
    trace = Trace(*(np.zeros(count, dtype=np.bool_) for _ in range(3)))
    certificates: list[str] = []
    chance, now = random.Random(seed), [0.0]
    with tempfile.TemporaryDirectory() as folder:
        judge = open_judge(
            PairVerifier.open(),
            Terms(bound.max_wrong_rate, 0.9, bound.per),
            Path(folder) / "labels.db",
            audit_share=bound.audit_share,
            packaged=True,
            guarding=Guarding(DEFAULT_GUARDS, refusal, bound.guards == "learned"),
            clock=lambda: now[0],
            random=chance.random,
        )
        dim = next(len(one.vector) for one in told.encoded.values() if one.vector is not None)
        cache = _Cache(told, dim)
        for at, text in enumerate(told.texts):
            now[0] += SECONDS
            fresh = form(int(told.answers[at]), chance.randrange(bound.wordings))
            if text in cache.known:
                trace.served[at] = True
                trace.wrong[at] = _number(cache.known[text]) != _number(fresh)
                continue
            one = told.encoded[text]
            found: Hit | Miss = Miss("no vector")
            if one.vector is not None:
                asked = Asked(text, one.vector, one.sketch)
                found = policy.judge_semantic(
                    asked, cache.near(text), now[0], NONE, SETTINGS, judge
                )
            _settle(found, told, cache, judge, text, fresh, trace, at)
            if at % 64 == 63:
                judge.grown(len(cache.known))
            if (at + 1) % max(1, count // 10) == 0:
                certificates.append(judge.header())
        judge.close()
    return trace, certificates


def _settle(
    found: Hit | Miss,
    told: Told,
    cache: _Cache,
    judge: Supervisor,
    text: str,
    fresh: str,
    trace: Trace,
    at: int,
) -> None:
    """What the cache does with a decision: serve, check, label, store."""
    judged = found.judged
    completion = _completion(fresh)
    if isinstance(found, Hit) and judged is not None:
        trace.served[at] = True
        trace.wrong[at] = _number(judged.entry.completion.text) != _number(fresh)
        weight = judge.audit(judged)
        if weight is None:
            return
        trace.audited[at] = True
        same = _label(told, judge, judged, fresh, weight, "audit")
        if same is False:
            cache.quarantine(judged.entry)
        elif same:
            completion = judged.entry.completion
    elif judged is not None:
        weight = judge.audit(judged) or 0.0
        if _label(told, judge, judged, fresh, weight, "shadow"):
            completion = judged.entry.completion
    else:
        judge.passed(text)
    cache.store(text, fresh, completion)


def _label(
    told: Told, judge: Supervisor, judged: Judged, fresh: str, weight: float, source: str
) -> bool | None:
    stored = judged.entry.completion.text
    similarity = 1.0 if stored == fresh else float(told.said[stored] @ told.said[fresh])
    same = judge.same("", stored, fresh, similarity)
    if same is not None:
        judge.record(judged, weight, not same, "audit" if source == "audit" else "shadow")
    return same


def _completion(text: str) -> Completion:
    return text_completion_of(text, id="chatcmpl-0", created=0, model="benchmark")


def _number(text: str) -> int:
    return int("".join(letter for letter in text if letter.isdigit()))
