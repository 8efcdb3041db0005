"""Answers from the passages that a retriever finds: knowledge of any size in a window of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semcache.cag.blocks.placing import PlacedGrounding, Shelf
from semcache.cag.knowledge.grounding import Grounding
from semcache.cag.prompting.conversation import Conversation
from semcache.errors import Declined
from semcache.grounds import Grounds
from semcache.retrieval import Found, Passage, Retriever, grounds_of

_SHORT_PASSAGE_TOKENS = 48
_LEAST_ASKED, _MOST_ASKED = 8, 64


@dataclass(frozen=True, slots=True)
class Terms:
    """How much is given: at most `tokens` of passages, unless the best alone has more.

    `share`: what scores below this share of the best one's is not given. A small model answers
    worse for every passage beside the right one. Below `floor` (a score, 0..1; None for no floor)
    of the best one the engine declines.
    """

    tokens: int
    share: float
    floor: float | None


@dataclass(frozen=True, slots=True)
class RetrievedReading:
    """Implements `reading.Reading`."""

    retriever: Retriever
    shelf: Shelf
    terms: Terms

    @property
    def digest(self) -> str:
        """Implements `Reading`."""
        return self.retriever.digest

    @property
    def keyed(self) -> str:
        """Implements `Reading`."""
        return ""

    @property
    def way(self) -> str:
        """Implements `Reading`."""
        shelf, terms = self.shelf, self.terms
        repair = shelf.repair.name if shelf.layout == "blocks" else ""
        return f"{shelf.layout} {repair} {terms.tokens} {terms.share} {terms.floor}"

    def ground(self, conversation: Conversation) -> Grounding:
        """Implements `Reading`."""
        return PlacedGrounding(self.shelf, self._given(conversation), conversation, self.digest)

    def grounds(self, conversation: Conversation) -> Grounds:
        """Implements `Reading`."""
        return grounds_of(self.digest, self._given(conversation))

    def _given(self, conversation: Conversation) -> list[Passage]:
        found = self._found(conversation)
        floor = self.terms.floor
        if floor is not None and (not found or found[0].score < floor):
            raise Declined(
                "The documents say nothing about this question. Ask another model.",
                base=self.digest,
            )
        return within(found, self.terms)

    def _found(self, conversation: Conversation) -> Sequence[Found]:
        """For the last question; what was asked before counts too, as it may lean on it."""
        asked = [turn.text for turn in conversation.turns if turn.role == "user"]
        k = min(_MOST_ASKED, max(_LEAST_ASKED, self.terms.tokens // _SHORT_PASSAGE_TOKENS))
        if not asked or not len(self.retriever):
            return ()
        last = self.retriever.search(asked[-1], k)
        if len(asked) < 2:
            return last
        return fused(last, self.retriever.search(" ".join(asked[-2:]), k))


def fused(one: Sequence[Found], other: Sequence[Found]) -> list[Found]:
    """Both findings, best first; each passage by its better score, ties by what is in both."""
    total: dict[str, float] = {}
    best: dict[str, Found] = {}
    for found in (*one, *other):
        name = found.passage.id
        total[name] = total.get(name, 0.0) + found.score
        if name not in best or best[name].score < found.score:
            best[name] = found
    return sorted(best.values(), key=lambda found: (-found.score, -total[found.passage.id]))


def within(found: Sequence[Found], terms: Terms) -> list[Passage]:
    """The best passages that the terms allow; the best in any case."""
    chosen: dict[str, Passage] = {}
    left = terms.tokens
    for one in found:
        passage = one.passage
        if one.score < terms.share * found[0].score:
            break
        if passage.id not in chosen and (not chosen or passage.tokens <= left):
            chosen[passage.id] = passage
            left -= passage.tokens
    return list(chosen.values())
