"""The `knowledge:` section of the configuration. Importable without anything heavy."""

from __future__ import annotations

from dataclasses import dataclass

from semcache.errors import ConfigError


@dataclass(frozen=True, slots=True)
class KnowledgeSettings:
    """How documents are read and cut. Raises ConfigError.

    A passage has at most `passage_tokens` of the answering model, or, where that is set,
    `passage_characters`; `overlap` is the share of it that is said twice where a text is cut.
    A document of more than `max_file_bytes`, or of which more text would come, is left out, and so
    is one that takes longer than `max_read_s` to read.
    """

    passage_tokens: int = 256
    passage_characters: int | None = None
    overlap: float = 0.1
    max_file_bytes: int = 20_000_000
    max_read_s: float = 60.0

    def __post_init__(self) -> None:
        least = {"passage_tokens": 32, "passage_characters": 64, "max_file_bytes": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ConfigError(f"'knowledge.{name}' must be at least {bound}.")
        if not 0 < self.max_read_s <= 86_400:
            raise ConfigError("'knowledge.max_read_s' must be more than 0, and a day at most.")
        if not 0 <= self.overlap <= 0.5:
            raise ConfigError("'knowledge.overlap' is a share from 0 to 0.5; 0.1 is usual.")
