"""Reads the spans of one turn: packed into one forward pass where the model allows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from torch import Tensor

from semcache.cag.context.sharing import Sharing
from semcache.cag.context.tail_batch import TailBatch
from semcache.cag.network.model import LanguageModel
from semcache.cag.turning.pace import Pace
from semcache.cag.turning.packing import Packed, Span, can_be_together, context_name


class Together:
    """Owned by the model's thread, as it keeps the tails of the running requests side by side.

    `pace` learns what the passes that carry answers on cost.
    """

    def __init__(
        self,
        model: LanguageModel,
        sharing: Sharing,
        packs: bool,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`packs`: whether rows of several requests may share a forward pass."""
        self.pace = Pace()
        self._model = model
        self._sharing = sharing
        self._packs = packs
        self._clock = clock
        self._batch: TailBatch | None = None

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """The wanted logits of each span, (scored, vocabulary).

        Raises what the network raises; then the caches are as they were, where requests are packed.
        """
        found: dict[int, Tensor] = {}
        lengths = [span.cache.length for span in spans] if self._packs else []
        try:
            for members in self._passes(spans):
                inside = [spans[at] for at in members]
                found.update(zip(members, self._read(inside), strict=True))
        except BaseException:
            for span, length in zip(spans, lengths, strict=False):
                span.cache.cut(length)
            raise
        return [found[at] for at in range(len(spans))]

    def _passes(self, spans: Sequence[Span]) -> Iterator[list[int]]:
        """Which spans are read in one forward pass: all, unless the model is not to mix them."""
        everyone = range(len(spans))
        if not self._packs:
            yield from ([at] for at in everyone)
        elif not self._model.splits:
            yield [*everyone]
        else:
            prompts = [at for at in everyone if not spans[at].answers]
            answers = [at for at in everyone if spans[at].answers]
            if prompts:
                yield prompts
            yield from _bounded(answers, spans, self._model.most_rows)

    def _read(self, spans: Sequence[Span]) -> list[Tensor]:
        begun = self._clock()
        if len(spans) > 1:
            found = self._packed(spans)
        else:
            self._batch = None
            found = [self._alone(spans[0])]
        if any(span.answers for span in spans):
            self.pace.note(sum(len(span.tokens) for span in spans), self._clock() - begun)
        return found

    def _alone(self, span: Span) -> Tensor:
        arguments = self._sharing.arguments(span.cache)
        if span.answers:
            return self._model.read_last(span.tokens, span.scored, arguments)
        return self._model.read(span.tokens, arguments)[None][: span.scored]

    def _packed(self, spans: Sequence[Span]) -> list[Tensor]:
        order = sorted(range(len(spans)), key=lambda at: _place(spans[at]))
        inside = [spans[at] for at in order]
        together = sum(can_be_together(span) for span in inside)
        slots = self._side_by_side(inside[:together])
        batch = self._batch if together else None
        packed = Packed(inside, together, batch, slots, self._model.device)
        scored = [row for start, span in _starts(inside) for row in _scored(start, span)]
        logits = self._model.read_rows(
            [token for span in inside for token in span.tokens],
            [span.cache.get_seq_length() + at for span in inside for at in range(len(span.tokens))],
            scored or [0],
            {"past_key_values": packed, "shared_prefix": packed},
            any(span.answers for span in spans),
        )
        packed.commit()
        ends = [*accumulate(span.scored for span in inside)]
        pieces = dict(zip(order, logits[: ends[-1]].tensor_split(ends[:-1]), strict=True))
        return [pieces[at] for at in range(len(spans))]

    def _side_by_side(self, spans: Sequence[Span]) -> list[int]:
        if not spans:
            return []
        caches = [span.cache for span in spans]
        more = max(len(span.tokens) for span in spans)
        slots = None if self._batch is None else self._batch.slots(caches, more)
        if slots is None:
            self._batch = TailBatch(caches, more)
            slots = list(range(len(caches)))
        return slots


def _bounded(members: Sequence[int], spans: Sequence[Span], most: int) -> Iterator[list[int]]:
    """In order, of at most `most` rows together."""
    bunch: list[int] = []
    rows = 0
    for at in members:
        more = len(spans[at].tokens)
        if bunch and rows + more > most:
            yield bunch
            bunch, rows = [], 0
        bunch.append(at)
        rows += more
    if bunch:
        yield bunch


def _place(span: Span) -> tuple[bool, tuple[tuple[int, int], ...]]:
    """Those that are scored together first, those on one context as neighbours."""
    alone = not can_be_together(span)
    return alone, () if alone else context_name(span.cache.prefix)


def _starts(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    starts = []
    at = 0
    for span in spans:
        starts.append((at, span))
        at += len(span.tokens)
    return starts


def _scored(start: int, span: Span) -> range:
    end = start + len(span.tokens)
    return range(end - span.scored, end)
