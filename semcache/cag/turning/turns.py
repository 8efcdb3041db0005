"""Turns that all running requests take together: one forward pass for all of them.

A turn reads a row for each answer in the making, the drafts that are worth their time, and a
bounded number of tokens of the prompts that are still being read. So a long prompt holds nobody
up, and a request joins or leaves at any turn (continuous batching; Orca, OSDI 2022). A request's
failure is its own: a pass that fails is repeated for each request alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from semcache.cag.context.sharing import Sharing
from semcache.cag.network.model import LanguageModel
from semcache.cag.opening.loading import Loaded
from semcache.cag.settings import CagSettings
from semcache.cag.turning.pace import Offer, draft_length
from semcache.cag.turning.packed_probe import can_pack
from semcache.cag.turning.packing import Span
from semcache.cag.turning.together import Together

log = logging.getLogger("semcache.cag")

_LONGEST_DRAFT = 8

Outcome: TypeAlias = bool | BaseException
"""Whether a request is done, or how it failed."""


class Turning(Protocol):
    """A request as its turns see it. Every method may raise: then it alone fails."""

    def unread(self) -> int:
        """Tokens of the prompt still to be read; 0 while it answers."""
        ...

    def offers(self, most: int) -> list[Offer]:
        """What each answer in the making proposes, at most `most` tokens."""
        ...

    def spans(self, room: int, drafted: int) -> list[Span]:
        """What to read now; something: at most `room` tokens of the prompt, or the answers' rows.

        `drafted`: how many tokens of each proposal to verify.
        """
        ...

    def take(self, logits: Sequence[Tensor]) -> bool:
        """The wanted logits of each span; whether all is done."""
        ...


class Turns:
    """Implements `scheduler.Crew`. Every method is called on the model's thread."""

    def __init__(
        self,
        model: LanguageModel,
        sharing: Sharing,
        *,
        packs: bool,
        chunk_tokens: int,
        turn_tokens: int,
        speculate: bool,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`packs`: whether `packed_probe` has found packed passes right for this model.

        A lone request reads `chunk_tokens` of its prompt in a turn; all of them together, where
        several run, `turn_tokens`.
        """
        self.model = model
        self.sharing = sharing
        self._packs = packs
        self._chunk_tokens = chunk_tokens
        self._turn_tokens = min(turn_tokens, chunk_tokens)
        self._speculate = speculate and packs
        self._together = Together(model, sharing, packs, clock)

    def turn(self, jobs: Sequence[Turning]) -> list[Outcome]:
        """One turn of each; its outcomes, in the order of the jobs."""
        with torch.inference_mode():
            outcomes: list[Outcome] = [False] * len(jobs)
            spans = self._spans(jobs, outcomes)
            for at, found in self._read(spans).items():
                if isinstance(found, BaseException):
                    outcomes[at] = found
                    continue
                try:
                    outcomes[at] = jobs[at].take(found)
                except BaseException as error:  # as in all of a request's steps: its own
                    outcomes[at] = error
            return outcomes

    def _spans(self, jobs: Sequence[Turning], outcomes: list[Outcome]) -> dict[int, list[Span]]:
        """What each job reads, by its number; who fails reads nothing and has its outcome."""
        needs: dict[int, int] = {}
        offers: dict[int, list[Offer]] = {}
        most = _LONGEST_DRAFT if self._speculate else 0
        for at, job in enumerate(jobs):
            try:
                needs[at] = job.unread()
                if not needs[at]:
                    offers[at] = job.offers(most)
            except BaseException as error:
                outcomes[at] = error
        rooms = self._rooms(needs, bool(offers))
        drafted = self._drafted(offers, rooms)
        spans: dict[int, list[Span]] = {}
        for at, need in needs.items():
            if not need or rooms[at]:
                spans[at] = jobs[at].spans(rooms.get(at, 0), drafted)
        return spans

    def _drafted(self, offers: dict[int, list[Offer]], rooms: dict[int, int]) -> int:
        together = [offer for each in offers.values() for offer in each]
        others = 0 if self.model.splits else sum(rooms.values())
        return draft_length(together, others, self.model.most_rows, self._together.pace)

    def _rooms(self, needs: dict[int, int], some_answer: bool) -> dict[int, int]:
        """How many tokens of its prompt each job may read."""
        reading = {at: need for at, need in needs.items() if need}
        crowded = some_answer or len(reading) > 1
        room = self._turn_tokens if crowded else self._chunk_tokens
        return dict(zip(reading, allotted([*reading.values()], room), strict=True))

    def _read(self, spans: dict[int, list[Span]]) -> dict[int, list[Tensor] | BaseException]:
        """The logits of each job's spans, or why there are none."""
        if self._packs and len(spans) > 1:
            try:
                found = iter(self._together.read([one for each in spans.values() for one in each]))
            except Exception:
                log.warning(
                    "a pass of %d requests failed: each is read alone", len(spans), exc_info=True
                )
            else:
                return {at: [next(found) for _ in each] for at, each in spans.items()}
        return {at: self._alone(each) for at, each in spans.items()}

    def _alone(self, spans: Sequence[Span]) -> list[Tensor] | BaseException:
        try:
            return self._together.read(spans)
        except BaseException as error:
            return error


def turns_of(loaded: Loaded, settings: CagSettings) -> Turns:
    """The turns of a loaded model's requests; tries whether it can pack them."""
    return Turns(
        loaded.model,
        loaded.sharing,
        packs=can_pack(loaded.model, loaded.sharing),
        chunk_tokens=settings.prefill_chunk,
        turn_tokens=settings.turn_tokens,
        speculate=settings.speculate,
    )


def allotted(needs: Sequence[int], room: int) -> list[int]:
    """Share `room` tokens among prompts, oldest first, of which `needs` are unread.

    Half goes to the oldest, so that it gets on however many come; the rest to the shortest, whose
    first tokens are near; what is left to the oldest again.
    """
    given = [0] * len(needs)
    shortest = sorted(range(len(needs)), key=lambda at: needs[at])
    for at, most in ((0, -(-room // 2)), *((at, room) for at in shortest), (0, room)):
        if at < len(needs):
            more = min(most, room, needs[at] - given[at])
            given[at] += more
            room -= more
    return given
