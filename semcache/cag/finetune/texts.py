"""From documents and questions to the token ids of head, blocks and endings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from semcache.cag.conversation import Turn
from semcache.cag.prompt import ChatFormat
from semcache.errors import ConfigError

_MARK = "\u2063KNOWLEDGE\u2063"
_OTHER_MARK = "\u2063QUESTION\u2063"


@dataclass(frozen=True, slots=True)
class Texts:
    """Tokens as the engine makes them: system text, then documents, then the user's turn.

    `between` follows each document.
    """

    chat_format: ChatFormat
    tokenizer: Any
    instruction: str
    between: str = "\n\n"

    def head(self) -> list[int]:
        """What stands before the first document. Raises ConfigError."""
        return self._pieces()[0]

    def block(self, document: str) -> list[int]:
        """One document."""
        return self._encode(document.strip() + self.between)

    def ending(self, question: str) -> list[int]:
        """What follows the last document, up to where the answer begins. Raises ConfigError."""
        _, closing, opening = self._pieces()
        return [*closing, *self._encode(question), *opening]

    def bare(self, question: str) -> list[int]:
        """A question by itself, without documents or instruction."""
        return self.chat_format.ids("", [Turn("user", question)])

    def answer(self, text: str, stop: int | None) -> list[int]:
        """An answer, ended by the token that ends turns."""
        ids = self._encode(text)
        return ids if stop is None else [*ids, stop]

    def _pieces(self) -> tuple[list[int], list[int], list[int]]:
        system = f"{self.instruction}\n\n{_MARK}"
        ids = self.chat_format.ids(system, [Turn("user", _OTHER_MARK)])
        first, second = self._encode(_MARK), self._encode(_OTHER_MARK)
        at, then = _find(ids, first), _find(ids, second)
        if at < 0 or then < at:
            raise ConfigError(
                "The model's chat template changes what it is given: blocks cannot stand in it."
            )
        return ids[:at], ids[at + len(first) : then], ids[then + len(second) :]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False
        )["input_ids"]
        return ids


def _find(ids: Sequence[int], part: Sequence[int]) -> int:
    """Where the part begins, or -1."""
    wanted = list(part)
    for at in range(len(ids) - len(wanted) + 1):
        if list(ids[at : at + len(wanted)]) == wanted:
            return at
    return -1
