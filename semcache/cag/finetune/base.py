"""The model that is trained, as Hugging Face loads it, with its way of writing prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from semcache.cag.finetune.evaluation import Asking
from semcache.cag.finetune.texts import Texts
from semcache.cag.model import locate
from semcache.cag.settings import CagSettings
from semcache.errors import ConfigError


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
    """In float32, on the device of the settings. Raises ConfigError."""
    folder = locate(settings, cache_dir, progress)
    progress(f"loading {settings.short_name}")
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
        )
        network = network.to(_device(settings.device)).eval()
    except Exception as error:  # the loader raises whatever its parts do
        raise ConfigError(
            f"Cannot load the model in {folder}: {type(error).__name__}: {error}."
        ) from error
    config = network.config.get_text_config()
    ends = {tokenizer.eos_token_id, getattr(config, "eos_token_id", None)}
    window = getattr(config, "max_position_embeddings", None)
    return Base(
        folder=folder,
        network=network,
        tokenizer=tokenizer,
        texts=Texts(tokenizer, settings.instruction),
        stops=frozenset(one for one in ends if isinstance(one, int)),
        window=window if isinstance(window, int) else 2048,
    )


def _device(wanted: str) -> torch.device:
    name = wanted
    if wanted == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"The device {wanted!r} cannot be used here: {error}") from None
    return device
