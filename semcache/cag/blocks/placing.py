"""A request that answers from passages: those that were read before are taken, the others read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from semcache.cag.blocks.apart import ApartPrompts
from semcache.cag.blocks.block_store import BlockKeys, BlockStore, Lease
from semcache.cag.blocks.places import Ids, Place, block_order, blocks, tree
from semcache.cag.blocks.repair import Repair, Repairing
from semcache.cag.context.rotation import Rotation
from semcache.cag.context.segments import Context, LayerKV, Segment
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.network.model import LanguageModel
from semcache.cag.prompting.conversation import Conversation
from semcache.cag.turning.packing import Span
from semcache.citations import Citation
from semcache.retrieval import Passage, grounds_of

Layout: TypeAlias = Literal["tree", "blocks"]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What all such requests share. `rotation` is None where nothing is ever moved."""

    model: LanguageModel
    sharing: SplitSharing
    rotation: Rotation | None
    prompts: ApartPrompts
    store: BlockStore
    keys: BlockKeys
    layout: Layout
    repair: Repair
    chunk_tokens: int
    plain: bool

    def places(self, head: Ids, passages: Sequence[Passage]) -> list[Place]:
        """Where head and passages (best first) stand."""
        if self.layout == "tree":
            canonical = sorted(passages, key=lambda one: (one.document, one.id))
            return tree(self.keys, head, [self.prompts.passage(one.text) for one in canonical])
        best_first = [self.prompts.passage(one.text) for one in passages]
        return blocks(self.keys, head, block_order(best_first), self.repair.sink)

    def alone(self, head: Ids, passage: Passage) -> list[Place]:
        """A passage as it will be wanted, and the head that it may be read after.

        In a tree that is as the only one; otherwise as a block that can be moved.
        """
        if self.layout == "tree":
            return self.places(head, [passage])
        ids = self.prompts.passage(passage.text)
        places = blocks(self.keys, head, [ids, ids], self.repair.sink)
        return [places[0], places[2]]


class PlacedGrounding:
    """Implements `grounding.Grounding`."""

    def __init__(
        self, shelf: Shelf, passages: Sequence[Passage], conversation: Conversation, base: str
    ) -> None:
        """`passages`: best first, found in this state of the documents."""
        self.grounds = grounds_of(base, passages)
        self.citations = tuple(map(Citation.of, passages))
        self.plain = shelf.plain
        self.known = self.length = 0
        self._shelf = shelf
        self._passages = passages
        self._conversation = conversation
        self._reading: PlaceReading | None = None
        self._lease = shelf.store.lease()

    def prompt(self) -> list[int]:
        """Implements `Grounding`."""
        head, tail = self._shelf.prompts.around(self._conversation)
        places = self._shelf.places(head, self._passages)
        self._reading = PlaceReading(self._shelf, places, self._lease)
        self.length = sum(len(place.ids) for place in places)
        self.known = self.length - len(head)
        return [*(token for place in places for token in place.ids), *tail]

    def unread(self) -> int:
        """Implements `Grounding`."""
        return 0 if self._reading is None else self._reading.unread

    def span(self, room: int) -> Span | None:
        """Implements `Grounding`."""
        return None if self._reading is None else self._reading.span(room)

    def begin(self) -> tuple[Any, int]:
        """Implements `Grounding`."""
        assert self._reading is not None
        shelf, reading = self._shelf, self._reading
        segments, read = reading.segments(), reading.read
        if shelf.repair.method and shelf.layout == "blocks" and shelf.rotation is not None:
            repairing = Repairing(shelf.model, shelf.sharing, shelf.rotation, shelf.chunk_tokens)
            flat, again = repairing.repaired(shelf.repair, reading.places, segments)
            segments, read = [flat], read + again
        context = Context(segments, shelf.rotation)
        return shelf.sharing.after(context, context.length), max(0, context.length - read)

    def close(self) -> None:
        """Implements `Grounding`."""
        self._lease.close()


class PlaceReading:
    """Takes stored places, and has the others read, in order. On the model's thread.

    `read` is how many tokens were not there.
    """

    def __init__(self, shelf: Shelf, places: Sequence[Place], lease: Lease) -> None:
        self.places = places
        self.read = 0
        self._shelf = shelf
        self._lease = lease
        self._layers: list[tuple[LayerKV, ...] | None] = [lease.take(one.key) for one in places]
        self._missing = [at for at, layers in enumerate(self._layers) if layers is None]
        self._cache: Any = None
        self._begun = 0

    @property
    def unread(self) -> int:
        """Tokens still to be read."""
        return sum(len(self.places[at].ids) for at in self._missing) - self._begun

    def span(self, room: int) -> Span | None:
        """The next tokens to read, at most `room`; None where all are there.

        To be called again when they have been read.
        """
        while self._missing:
            place = self.places[self._missing[0]]
            if self._cache is None and not self._open(place):
                continue
            chunk = place.ids[self._begun : self._begun + room]
            if chunk:
                self._begun += len(chunk)
                return Span(self._cache, chunk, 0)
            layers = self._shelf.sharing.freeze(place.ids, self._cache).layers
            self._there(self._lease.put(place.key, layers), len(place.ids))
        return None

    def segments(self) -> list[Segment]:
        """All places, when there is nothing more to read."""
        return [
            Segment(layers, place.shift)
            for layers, place in zip(self._layers, self.places, strict=True)
            if layers is not None
        ]

    def _open(self, place: Place) -> bool:
        """Begin a place, unless another request has read it meanwhile."""
        layers = self._lease.take(place.key)
        if layers is not None:
            self._there(layers, 0)
            return False
        seen = [Segment(self._known(at)).part(0, count) for at, count in place.after]
        context = Context(seen) if seen else None
        length = 0 if context is None else context.length
        self._cache = self._shelf.sharing.after(context, length, len(place.ids))
        return True

    def _there(self, layers: tuple[LayerKV, ...], read: int) -> None:
        self._layers[self._missing.pop(0)] = layers
        self._cache, self._begun = None, 0
        self.read += read

    def _known(self, at: int) -> tuple[LayerKV, ...]:
        layers = self._layers[at]
        assert layers is not None  # places come after those that they are read after
        return layers
