"""From documents and questions to the token ids of head, blocks and endings, as the engine's."""

from __future__ import annotations

from typing import Any

from semcache.cag.blocks.apart import ApartPrompts
from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.prompting.prompt import ChatFormat
from semcache.errors import ConfigError, RequestError


class Texts:
    """What the model reads in training is what the engine has it read (`apart`)."""

    def __init__(self, tokenizer: Any, instruction: str) -> None:
        self.chat_format = ChatFormat(tokenizer)
        self.instruction = instruction
        self._prompts = ApartPrompts(self.chat_format, instruction)

    def head(self) -> list[int]:
        """What stands before the first document. Raises ConfigError."""
        return self._around("Question?")[0]

    def block(self, document: str) -> list[int]:
        """One document."""
        return list(self._prompts.passage(document.strip()))

    def ending(self, question: str) -> list[int]:
        """What follows the last document, up to where the answer begins. Raises ConfigError."""
        return self._around(question)[1]

    def bare(self, question: str) -> list[int]:
        """A question by itself, without documents or instruction."""
        return self.chat_format.ids("", [Turn("user", question)])

    def answer(self, text: str, stop: int | None) -> list[int]:
        """An answer, ended by the token that ends turns."""
        ids = self.chat_format.plain_ids(text)
        return ids if stop is None else [*ids, stop]

    def _around(self, question: str) -> tuple[list[int], list[int]]:
        try:
            head, ending = self._prompts.around(Conversation("", (Turn("user", question),)))
        except RequestError as error:
            raise ConfigError(error.message) from None
        return list(head), list(ending)
