"""A causal language model from a folder, ready to read and answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from semcache.cag.network.conversion import converted, packaged_gguf
from semcache.cag.network.identity import ModelIdentity, identify
from semcache.cag.prompting.plain_format import PLAIN_TEMPLATE
from semcache.cag.settings import DEFAULT_MODEL, CagSettings
from semcache.errors import ConfigError

Progress: TypeAlias = Callable[[str], None]

_DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]


_ANY = 1 << 30


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """`window` is in tokens; `stop_tokens` end an answer."""

    network: Any
    tokenizer: Any
    identity: ModelIdentity
    device: torch.device
    dtype: torch.dtype
    window: int
    stop_tokens: frozenset[int]
    last_only: bool
    """Whether the network can be told to compute the logits of the last position only."""

    @property
    def splits(self) -> bool:
        """Whether prompts and answers are read by networks whose last digits differ.

        Then which of them reads a row must not depend on what else is read in its turn, and rows
        of answers are never read together with a prompt's.
        """
        return self._prompts is not self.network

    @property
    def most_rows(self) -> int:
        """How many rows of answers one forward pass may hold."""
        most: int = getattr(self.network, "most_rows", _ANY)
        return most

    def read(self, ids: Sequence[int], arguments: dict[str, Any]) -> Tensor:
        """One forward pass over a part of a prompt; the logits after it, (vocabulary,)."""
        return self._last(self._prompts, ids, 1, arguments)[0]

    def read_last(self, ids: Sequence[int], scored: int, arguments: dict[str, Any]) -> Tensor:
        """One forward pass over rows of one answer; the logits after the last `scored` of them.

        (scored, vocabulary).
        """
        return self._last(self.network, ids, scored, arguments)

    def read_rows(
        self,
        ids: Sequence[int],
        positions: Sequence[int],
        scored: Sequence[int],
        arguments: dict[str, Any],
        answers: bool,
    ) -> Tensor:
        """One forward pass over rows with a position each; logits (len(scored), vocabulary).

        `scored`: the rows whose logits are wanted, in that order. `answers`: whether some are rows
        of answers; where the model `splits`, all are or none.
        """
        rows, places, wanted = (
            torch.tensor(numbers, dtype=torch.long, device=self.device)
            for numbers in (ids, positions, scored)
        )
        if self.last_only:
            arguments = {**arguments, "logits_to_keep": wanted}
        network = self.network if answers else self._prompts
        logits: Tensor = network(
            input_ids=rows[None], position_ids=places[None], use_cache=True, **arguments
        ).logits
        return logits[0] if self.last_only else logits[0, wanted]

    @property
    def _prompts(self) -> Any:
        """The network for many rows: the plain one beside a quicker one for few (`quickening`)."""
        return getattr(self.network, "plain", self.network)

    def _last(
        self, network: Any, ids: Sequence[int], scored: int, arguments: dict[str, Any]
    ) -> Tensor:
        if self.last_only:
            arguments = {**arguments, "logits_to_keep": scored}
        tokens = torch.tensor([list(ids)], dtype=torch.long, device=self.device)
        logits: Tensor = network(input_ids=tokens, use_cache=True, **arguments).logits
        return logits[0, -scored:]


def locate(settings: CagSettings, cache_dir: Path, progress: Progress) -> Path:
    """The folder with the model that the settings name. Raises ConfigError."""
    if settings.model == DEFAULT_MODEL:
        return converted(packaged_gguf(), cache_dir, progress)
    path = Path(settings.model).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return converted(path, cache_dir, progress)
    if path.is_dir():
        return path
    return _from_hub(settings)


def load_model(folder: Path, settings: CagSettings) -> LanguageModel:
    """Load network and tokenizer. Raises ConfigError; never runs code from the folder."""
    device = _device(settings.device)
    dtype = _dtype(settings.dtype, device)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True
        )
        identity = identify(folder, tokenizer.chat_template or PLAIN_TEMPLATE)
        network = network.to(device).eval().requires_grad_(False)
    except Exception as error:  # the loader raises whatever its parts do
        raise ConfigError(
            f"Cannot load the model in {folder}: {type(error).__name__}: {error} (if semcache "
            "converted it, remove the folder and it is made anew)."
        ) from error
    return LanguageModel(
        network=network,
        tokenizer=tokenizer,
        identity=identity,
        device=device,
        dtype=dtype,
        window=_window(network.config, settings.window),
        stop_tokens=_stop_tokens(network, tokenizer),
        last_only="logits_to_keep" in inspect.signature(network.forward).parameters,
    )


def _from_hub(settings: CagSettings) -> Path:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            settings.model,
            local_files_only=not settings.allow_download,
            allow_patterns=_HUB_FILES,
        )
    except Exception as error:  # not there, no network, no such name: one remedy
        raise ConfigError(
            f"No model '{settings.model}' on this machine: name a folder, a .gguf file or the "
            "default, or set 'cag.allow_download' to fetch it from the hub."
        ) from error
    return Path(folder)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"'cag.device' {wanted!r} cannot be used here: {error}") from None
    return device


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted != "auto":
        return _DTYPES[wanted]
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def _window(config: Any, bound: int | None) -> int:
    own = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(own, int):
        if bound is None:
            raise ConfigError("The model does not say how long its window is: set 'cag.window'.")
        return bound
    return own if bound is None else min(own, bound)


def _stop_tokens(network: Any, tokenizer: Any) -> frozenset[int]:
    said = (
        tokenizer.eos_token_id,
        getattr(network.config.get_text_config(), "eos_token_id", None),
        getattr(network.generation_config, "eos_token_id", None),
    )
    return frozenset(token for value in said for token in _each(value))


def _each(value: Any) -> Iterable[int]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)
