"""Training pairs made by program: traps by one exchange, paraphrases by rule, each by its class.

From ordinary questions (those of the training part, and templates) come paraphrases q, q' and traps
q, swap(q); and, where a data set says that a and b share an answer, a, swap(b): a trap whose two
sides do not look alike word by word. The same changes that make paraphrases are also put on traps,
so that politeness or a slip says nothing about the label.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from benchmarks.training.frames import Frames
from benchmarks.training.pairs import Pair
from benchmarks.training.phrasings import Phraser
from benchmarks.training.reworded import reworded
from benchmarks.training.swaps import Swapper
from benchmarks.training.templates import Templates
from semcache.lexical import facts
from semcache.lexical.contrasts import negation

_MAX_CHARS = 160
_LONG = 9  # words


class Generator:
    """Deterministic for its seed, its part and the pairs it is given."""

    def __init__(self, pairs: Sequence[Pair], seed: int, *, held_out: bool) -> None:
        """`pairs` lend their questions; give only pairs of the part that is made."""
        self._rng = random.Random(seed)
        short = [p for p in pairs if len(p.asked) <= _MAX_CHARS and len(p.answered) <= _MAX_CHARS]
        self._same = [pair for pair in short if pair.same]
        self._questions = sorted({pair.asked for pair in short})
        self._phraser = Phraser(self._rng, held_out=held_out)
        self._swapper = Swapper(self._rng, self._questions, held_out=held_out)
        self._templates = Templates(self._rng, held_out=held_out)
        self._frames = Frames(self._rng, held_out=held_out)
        self._reworded = list(reworded(self._rng, held_out=held_out))

    def pairs(self, count: int) -> list[Pair]:
        """About `count` pairs: a quarter from templates, the others from ordinary questions."""
        made: dict[tuple[str, str], Pair] = {}
        third = count // 3
        for source in (
            self._varied(self._templates.pairs(third)),
            self._around(self._sample(third)),
            self._across(third // 2),
            self._around(list(self._templates.questions(third // 2))),
            self._varied(self._frames.pairs(third // 2)),
            self._exchanged(third // 3),
            self._reworded,
        ):
            for pair in source:
                if pair.asked != pair.answered:
                    made.setdefault((pair.asked, pair.answered), pair)
        return list(made.values())

    def _sample(self, count: int) -> list[str]:
        return self._rng.sample(self._questions, min(count, len(self._questions)))

    def _around(self, questions: Sequence[str]) -> Iterator[Pair]:
        """A paraphrase or a trap of each question."""
        for question in questions:
            if self._rng.random() < 0.45:
                again, how = self._phraser.again(question)
                yield self._turned(Pair(question, again, True, how))
                continue
            swapped = self._swapper.any_of(question)
            if swapped is not None:
                yield self._turned(
                    self._maybe_varied(Pair(question, swapped[0], False, swapped[1]))
                )

    def _across(self, count: int) -> Iterator[Pair]:
        """a and b share an answer: a against a trap of b."""
        for pair in self._rng.sample(self._same, min(count, len(self._same))):
            swapped = self._swapper.any_of(pair.answered)
            if swapped is not None and not _undone(pair.asked, *swapped):
                yield self._turned(Pair(pair.asked, swapped[0], False, f"{swapped[1]} far"))

    def _exchanged(self, count: int) -> Iterator[Pair]:
        """Long questions with two words exchanged, and with two joined by `and` or `or` turned."""
        long = [text for text in self._questions if text.count(" ") >= _LONG]
        for text in self._rng.sample(long, min(count, len(long))):
            turned = self._phraser.turned(text)
            if turned != text:
                yield self._turned(Pair(text, turned, True, "joined words turned"))
            swapped = self._swapper.places(text)
            if swapped is not None:
                yield self._turned(self._maybe_varied(Pair(text, swapped, False, "places")))
            fronted = self._phraser.fronted(text)
            if fronted != text:
                yield self._turned(Pair(text, fronted, True, "word_order"))

    def _varied(self, pairs: Iterator[Pair]) -> Iterator[Pair]:
        for pair in pairs:
            yield self._turned(self._maybe_varied(pair))

    def _maybe_varied(self, pair: Pair) -> Pair:
        if self._rng.random() < 0.6:
            return pair
        again, _ = self._phraser.again(pair.answered)
        return Pair(pair.asked, again, pair.same, pair.category)

    def _turned(self, pair: Pair) -> Pair:
        if self._rng.random() < 0.5:
            return pair
        return Pair(pair.answered, pair.asked, pair.same, pair.category)


def _undone(asked: str, swapped: str, how: str) -> bool:
    """Whether a trap made of b took away what set b apart from a, and is none."""
    return how == "negation" and negation(facts(asked), facts(swapped)) is None
