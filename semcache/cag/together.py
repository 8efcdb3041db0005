"""Reads the spans of one turn: packed into one forward pass where the model allows it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor

from semcache.cag.model import LanguageModel
from semcache.cag.packing import Packed, Span, can_be_together, context_name
from semcache.cag.sharing import Sharing
from semcache.cag.tail_batch import TailBatch


class Together:
    """Owned by the model's thread, as it keeps the tails of the running requests side by side."""

    def __init__(self, model: LanguageModel, sharing: Sharing, packs: bool) -> None:
        """`packs`: whether rows of several requests may share a forward pass."""
        self._model = model
        self._sharing = sharing
        self._packs = packs
        self._batch: TailBatch | None = None

    def read(self, spans: Sequence[Span]) -> list[Tensor]:
        """The wanted logits of each span, (scored, vocabulary).

        Raises what the network raises; then the caches are as they were.
        """
        if not self._packs or len(spans) == 1:
            self._batch = None
            return [self._alone(span) for span in spans]
        lengths = [span.cache.length for span in spans]
        try:
            return self._packed(spans)
        except BaseException:
            for span, length in zip(spans, lengths, strict=True):
                span.cache.cut(length)
            raise

    def _alone(self, span: Span) -> Tensor:
        """At least one row of logits is computed; none where none is wanted."""
        arguments = self._sharing.arguments(span.cache)
        logits = self._model.read_last(span.tokens, max(1, span.scored), arguments)
        return logits[: span.scored]

    def _packed(self, spans: Sequence[Span]) -> list[Tensor]:
        order = sorted(range(len(spans)), key=lambda at: _place(spans[at]))
        inside = [spans[at] for at in order]
        together = sum(_is_decoding(span) for span in inside)
        slots = self._side_by_side(inside[:together])
        batch = self._batch if together else None
        packed = Packed(inside, together, batch, slots, self._model.device)
        scored = [row for start, span in _starts(inside) for row in _scored(start, span)]
        logits = self._model.read_rows(
            [token for span in inside for token in span.tokens],
            [span.cache.get_seq_length() + at for span in inside for at in range(len(span.tokens))],
            scored or [0],
            {"past_key_values": packed, "shared_prefix": packed},
        )
        packed.commit()
        if not scored:
            logits = logits[:0]
        ends = [*accumulate(span.scored for span in inside)][:-1]
        pieces = dict(zip(order, logits.tensor_split(ends), strict=True))
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


def _is_decoding(span: Span) -> bool:
    """Rows that are all scored are an answer's; a prompt's chunks are many, or not scored."""
    return span.scored == len(span.tokens) and can_be_together(span.cache)


def _place(span: Span) -> tuple[bool, tuple[tuple[int, int], ...]]:
    """Decoding spans first, those on one context as neighbours."""
    alone = not _is_decoding(span)
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
