"""The `cag:` section of the configuration. Importable without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from semcache.errors import ConfigError

DEFAULT_MODEL = "SmolLM2-135M-Instruct"
DEFAULT_INSTRUCTION = "Answer the question from the documents below."


@dataclass(frozen=True, slots=True)
class CagSettings:
    """What the operator decides about the local engine. Raises ConfigError.

    `model` is the default's name, a folder with a Hugging Face causal LM, a .gguf file, or an id
    on the hub (looked up on this machine only, unless `allow_download`). `names` are the model
    names that it answers to; by default the model's short name and "semcache". `knowledge` is the
    folder of the library's documents; `instruction` stands in front of them.

    `weights`: with which numbers a few rows at a time are decoded on a CPU (`quickening`). "exact":
    whole numbers where the model's weights are such to the last bit, as those from a quantized
    GGUF are; the answers are float32's. "int8": rounded to 8 bits, like the values that they are
    multiplied with: quicker, and a word differs now and then. "plain": the network as loaded.

    `threads` None: torch's own choice. `window` bounds the model's own window (tokens), and
    `reserve_tokens` of it stay free for question and answer. `max_tokens` is the answer's bound
    where a request sets none. `max_active` requests are answered together, `max_queued` more
    wait. `prefill_chunk` is how many tokens one forward pass reads; where it also carries answers
    on, at most `turn_tokens` of the prompts that are still unread. `speculate`: greedy answers try
    what followed the same words in the documents, several tokens in one pass (`drafting`).

    `prefix_dtype` "exact" saves keys and values as the model computes them, "float16" in half
    the space of float32. `prefixes_kept` is how many saved prefixes stay on disk.

    `mode`: "whole", all documents are one prefix; "tree", the passages found for a question are
    read one after another, and what was read of them before serves again; "blocks", each passage
    is read alone, once, and moved to its place, under `repair` (`repair.repair_of`; "auto" is the
    one that the model was measured with, or head). "auto" is as before while the documents fit the
    window, and then tree, or blocks for a model that was measured (`gate`). Where passages are
    found, they have `context_tokens` together at most and each at least `relevance_share` of the
    best one's score, and below `relevance_floor` (0..1; None for no floor) the engine declines, if
    others may be asked. What was read of passages takes at most
    `blocks_memory_bytes` in memory, but for what is in use, and `blocks_disk_bytes` on disk.

    `citations`: whether an answer tells its passages: by name, with their texts, or not.
    `sources_in_text`: it also ends with a line that names them; a request may ask for it.

    `passages`: of documents of more than `passage_tokens` together that fit the window, "auto"
    gives the best passage alone; needs the cache's encoder. Otherwise all of them are one prefix.
    `spell_out`: see `spelling_out`. Both help small models: switch
    them off for a model that is large enough. `end_loops`: a greedy answer that repeats itself is
    ended (`loops`).
    """

    model: str = DEFAULT_MODEL
    names: tuple[str, ...] = ()
    knowledge: Path | None = None
    instruction: str = DEFAULT_INSTRUCTION
    allow_download: bool = False
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    weights: Literal["exact", "int8", "plain"] = "exact"
    threads: int | None = None
    window: int | None = None
    reserve_tokens: int = 512
    max_tokens: int = 512
    max_choices: int = 8
    max_active: int = 8
    max_queued: int = 64
    prefill_chunk: int = 128
    turn_tokens: int = 64
    speculate: bool = True
    prefix_dtype: Literal["exact", "float16"] = "exact"
    prefixes_kept: int = 3
    mode: Literal["auto", "whole", "tree", "blocks"] = "auto"
    repair: str = "auto"
    context_tokens: int = 1024
    relevance_floor: float | None = 0.15
    relevance_share: float = 0.5
    blocks_memory_bytes: int = 1_000_000_000
    blocks_disk_bytes: int = 8_000_000_000
    citations: Literal["none", "names", "texts"] = "names"
    sources_in_text: bool = False
    passages: bool = True
    passage_tokens: int = 256
    spell_out: bool = True
    end_loops: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ConfigError(f"'cag.{field.name}' must be at least 1.")
        if not 0 <= self.relevance_share <= 1:
            raise ConfigError("'cag.relevance_share' lies between 0 and 1.")
        if self.relevance_floor is not None and not 0 <= self.relevance_floor <= 1:
            raise ConfigError("'cag.relevance_floor' lies between 0 and 1; null is no floor.")
        if not self.model or not all(self.names):
            raise ConfigError("'cag.model' and each of 'cag.names' must not be empty.")

    @property
    def short_name(self) -> str:
        """The last part of the model's path or id, without .gguf."""
        name = self.model.rstrip("/").rpartition("/")[2] or self.model
        return name.removesuffix(".gguf")

    @property
    def served_names(self) -> tuple[str, ...]:
        """The model names that a request may ask for; the first one is the model's own."""
        return self.names or tuple(dict.fromkeys((self.short_name, "semcache")))


def default_cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """$SEMCACHE_CACHE_DIR, or semcache/ in the user's cache folder (XDG base directories)."""
    own = environ.get("SEMCACHE_CACHE_DIR")
    if own:
        return Path(own)
    home = environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "semcache"
