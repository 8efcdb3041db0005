"""From tokens to text as they come, never half a character.

A character may be spread over several tokens, and a token's text may depend on the one before it
(a leading space). So text is decoded together with a few tokens before it, and held back while
it ends in U+FFFD, the mark of an unfinished character.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_CONTEXT = 5
_UNFINISHED = "\ufffd"


class Detokenizer:
    """The text of one answer. `prompt` gives the context of the first token."""

    def __init__(self, tokenizer: Any, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._tokens = list(prompt[-_CONTEXT:])
        self._told = self._decode(self._tokens)

    def push(self, token: int) -> str:
        """The text that this token completes; empty while a character is unfinished."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        if text.endswith(_UNFINISHED):
            return ""
        return self._advance(text)

    def flush(self) -> str:
        """What is left at the end, without an unfinished character."""
        return self._advance(self._decode(self._tokens).rstrip(_UNFINISHED))

    def _advance(self, text: str) -> str:
        fresh = text[len(self._told) :]
        self._tokens = self._tokens[-_CONTEXT:]
        self._told = self._decode(self._tokens)
        return fresh

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
