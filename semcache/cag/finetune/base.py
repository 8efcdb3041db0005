"""The model that is trained, as Hugging Face loads it, with its way of writing prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semcache.cag.finetune.evaluation import Asking
from semcache.cag.finetune.texts import Texts
from semcache.cag.network.model import load_model, locate
from semcache.cag.settings import CagSettings


@dataclass(frozen=True, slots=True)
class Base:
    """`stops` end an answer; `window` is in tokens."""

    folder: Path
    network: Any
    tokenizer: Any
    texts: Texts
    stops: frozenset[int]
    window: int

    @property
    def stop(self) -> int | None:
        """The token that ends a turn, for answers to learn."""
        own = self.tokenizer.eos_token_id
        return own if isinstance(own, int) else None

    def asking(self, most_tokens: int = 24) -> Asking:
        """How its answers are made."""

        def decode(ids: Any) -> str:
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

        return Asking(self.stops, decode, most_tokens)


def open_base(settings: CagSettings, cache_dir: Path, progress: Callable[[str], None]) -> Base:
    """In float32, on the device of the settings, frozen. Raises ConfigError."""
    folder = locate(settings, cache_dir, progress)
    progress(f"loading {settings.short_name}")
    model = load_model(folder, replace(settings, dtype="float32"))
    return Base(
        folder=folder,
        network=model.network,
        tokenizer=model.tokenizer,
        texts=Texts(model.tokenizer, settings.instruction),
        stops=model.stop_tokens,
        window=model.window,
    )
