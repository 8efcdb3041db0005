"""The store of what was read of passages, and the way in which a model may use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from semcache.cag.blocks.apart import ApartPrompts
from semcache.cag.blocks.block_file import BlockFolder
from semcache.cag.blocks.block_probe import proved_rotation
from semcache.cag.blocks.block_store import BlockKeys, BlockStore
from semcache.cag.blocks.gate import read_gate
from semcache.cag.blocks.placing import Layout, PlaceReading, Shelf
from semcache.cag.blocks.repair import Repair, repair_of
from semcache.cag.context.rotation import Rotation
from semcache.cag.context.sharing import SplitSharing
from semcache.cag.opening.loading import Loaded
from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.settings import CagSettings
from semcache.cag.turning.scheduler import Scheduler
from semcache.errors import ConfigError
from semcache.retrieval import Passage

_ANY = Conversation("", (Turn("user", "?"),))
_WAIT_S = 0.05
"""For the disk, before others have their turn."""


class Shelving:
    """Opened when passages are first wanted; `close` writes what is not yet on disk."""

    def __init__(
        self, settings: CagSettings, loaded: Loaded, scheduler: Scheduler, data_dir: Path
    ) -> None:
        self._settings = settings
        self._loaded = loaded
        self._scheduler = scheduler
        self._folder = data_dir / "blocks"
        self._shelf: Shelf | None = None

    @property
    def possible(self) -> bool:
        """Whether the model can read passages apart at all."""
        return isinstance(self._loaded.sharing, SplitSharing)

    def shelf(self) -> Shelf:
        """The one shelf. Raises ConfigError where the model cannot do what the settings ask."""
        if self._shelf is None:
            self._shelf = self._made()
        return self._shelf

    def close(self) -> None:
        """May be called twice."""
        if self._shelf is not None:
            self._shelf.store.close()

    def _made(self) -> Shelf:
        settings, model, sharing = self._settings, self._loaded.model, self._loaded.sharing
        if not isinstance(sharing, SplitSharing):
            raise ConfigError(
                "This model cannot read passages apart: its attention is its own. Set 'cag.mode' "
                "to whole, or choose another model."
            )
        layout, repair = self._way()
        rotation = self._rotation() if layout == "blocks" else None
        used = model.dtype
        stored = torch.float16 if settings.prefix_dtype == "float16" else used
        folder = BlockFolder(self._folder, settings.blocks_disk_bytes, stored, used)
        return Shelf(
            model=model,
            sharing=sharing,
            rotation=rotation,
            prompts=ApartPrompts(self._loaded.chat_format, settings.instruction),
            store=BlockStore(folder, settings.blocks_memory_bytes, model.device),
            keys=BlockKeys(model.identity, stored, f"{sharing.name} {used}"),
            layout=layout,
            repair=repair,
            chunk_tokens=settings.prefill_chunk,
            plain=self._loaded.chat_format.is_plain,
        )

    def _way(self) -> tuple[Layout, Repair]:
        """Blocks where they are asked for, or measured and good; the tree otherwise."""
        settings = self._settings
        gate = read_gate(self._loaded.folder, self._loaded.model.identity.weights)
        measured = None if gate is None else repair_of(gate.repair)
        wanted = Repair("head") if settings.repair == "auto" else repair_of(settings.repair)
        if settings.repair == "auto" and measured is not None:
            wanted = measured
        if settings.mode == "blocks":
            return "blocks", wanted
        if settings.mode == "auto" and gate is not None and gate.passed and wanted == measured:
            return "blocks", wanted
        return "tree", wanted

    def _rotation(self) -> Rotation:
        model, sharing = self._loaded.model, self._loaded.sharing
        rotation = self._scheduler.call(lambda: proved_rotation(model, sharing))
        if rotation is None:
            raise ConfigError(
                "This model's keys cannot be moved (no plain RoPE), so it has no blocks: set "
                "'cag.mode' to tree."
            )
        return rotation


class Stocking:
    """Implements `scheduler.Stepping`: reads the passages that are not there, a chunk a step.

    Stops where the disk holds as much as it may: what came first would go again.
    """

    def __init__(
        self, shelf: Shelf, passages: Iterable[Passage], progress: Callable[[int], None]
    ) -> None:
        """`progress` is told how many passages are there, after each."""
        self.cancelled = False
        self.read = 0
        self._shelf = shelf
        self._passages = iter(passages)
        self._progress = progress
        self._head = shelf.prompts.around(_ANY)[0]
        self._there = 0
        self._reading: PlaceReading | None = None
        self._lease = shelf.store.lease()

    def step(self) -> bool:
        """One forward pass at most; True at the end."""
        if not self._shelf.store.catch_up(_WAIT_S):
            return False
        if self._reading is None and not self._began():
            return True
        assert self._reading is not None
        span = self._reading.span(self._shelf.chunk_tokens)
        if span is None:
            self._finish(self._reading)
            return False
        with torch.inference_mode():
            self._shelf.model.read(span.tokens, self._shelf.sharing.arguments(span.cache))
        return False

    def fail(self, error: BaseException) -> None:
        """What was read stays."""
        self._lease.close()

    def _began(self) -> bool:
        passage = None if self._shelf.store.is_full else next(self._passages, None)
        if passage is None:
            return False
        self._lease = self._shelf.store.lease()
        places = self._shelf.alone(self._head, passage)
        self._reading = PlaceReading(self._shelf, places, self._lease)
        return True

    def _finish(self, reading: PlaceReading) -> None:
        self.read += reading.read
        self._reading = None
        self._lease.close()
        self._there += 1
        self._progress(self._there)
