"""Training examples: some passages in any order, and questions that they answer, side by side.

One context serves several questions, so that reading it is paid once. What step n sees follows
from the seed and n alone: training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from semcache.cag.finetune.pairs import Pair, Passage
from semcache.cag.finetune.texts import Texts


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids. `endings[i]` ends with `answers[i]`; `labelled[i]` as in `Pair`."""

    head: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    questions: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[int, ...], ...]
    labelled: tuple[bool, ...]

    @property
    def endings(self) -> list[list[int]]:
        """Questions with their answers."""
        return [[*q, *a] for q, a in zip(self.questions, self.answers, strict=True)]


@dataclass(frozen=True, slots=True)
class Drawing:
    """How many passages a context has (from … to), and how many questions at most."""

    passages: tuple[int, int] = (3, 6)
    questions: int = 8


class Examples:
    """`pairs` of `passages`; pairs without a passage are examples of their own, without blocks."""

    def __init__(
        self,
        texts: Texts,
        passages: Sequence[Passage],
        pairs: Sequence[Pair],
        stop: int | None,
        seed: int,
        drawing: Drawing | None = None,
        room: int = 4096,
    ) -> None:
        """`room`: the most tokens of a context, one passage at least."""
        self._texts = texts
        self._passages = passages
        self._stop = stop
        self._seed = seed
        self._drawing = drawing or Drawing()
        self._fits = max(1, room // max((len(texts.block(p.text)) for p in passages), default=1))
        self._of: dict[int, list[Pair]] = {}
        for pair in pairs:
            if pair.passage is not None:
                self._of.setdefault(pair.passage, []).append(pair)
        self._bare = [pair for pair in pairs if pair.passage is None]
        self._told = sorted(self._of)

    def at(self, step: int) -> Example:
        """What this step sees."""
        rng = random.Random(f"{self._seed} {step}")  # noqa: S311 - which example a step sees is no secret
        share = len(self._bare) / (len(self._bare) + sum(map(len, self._of.values())))
        if rng.random() < share:
            pairs = rng.sample(self._bare, min(self._drawing.questions, len(self._bare)))
            return self._example((), pairs)
        wanted = min(self._fits, rng.randint(*self._drawing.passages))
        chosen = rng.sample(self._told, min(wanted, len(self._told)))
        pairs = [pair for number in chosen for pair in self._of[number]]
        rng.shuffle(pairs)
        return self._example(chosen, pairs[: self._drawing.questions])

    def testing(self, pairs: Sequence[Pair], passages: int) -> list[tuple[Example, list[Pair]]]:
        """Contexts for pairs that have a passage: theirs among others, up to `passages` each."""
        rng = random.Random(self._seed)  # noqa: S311 - which example a step sees is no secret
        waiting = [pair for pair in pairs if pair.passage is not None]
        passages = min(self._fits, passages)
        found = []
        while waiting:
            chosen: list[int] = []
            taken: list[Pair] = []
            for pair in waiting:
                if pair.passage in chosen or len(chosen) < passages:
                    taken.append(pair)
                    if pair.passage is not None and pair.passage not in chosen:
                        chosen.append(pair.passage)
            waiting = [pair for pair in waiting if pair not in taken]
            others = [n for n in range(len(self._passages)) if n not in chosen]
            rng.shuffle(others)
            order = [*chosen, *others[: passages - len(chosen)]]
            rng.shuffle(order)
            found.append((self._example(order, taken), taken))
        return found

    def _example(self, passages: Sequence[int], pairs: Sequence[Pair]) -> Example:
        texts = self._texts
        return Example(
            head=tuple(texts.head()) if passages else (),
            blocks=tuple(tuple(texts.block(self._passages[n].text)) for n in passages),
            questions=tuple(
                tuple(texts.ending(p.question) if passages else texts.bare(p.question))
                for p in pairs
            ),
            answers=tuple(tuple(texts.answer(p.answer, self._stop)) for p in pairs),
            labelled=tuple(p.labelled for p in pairs),
        )
