"""Prompts whose passages are read apart: the tokens of head, passages and tail, each by itself.

    <head, up to the instruction>
    <blank line, passage> <blank line, passage> …
    <tail, with the question at its end>

A passage has the same tokens wherever it stands: what was read of it once can serve again.
"""

from __future__ import annotations

from functools import lru_cache

from semcache.cag.blocks.places import Ids
from semcache.cag.prompting.conversation import Conversation
from semcache.cag.prompting.prompt import ChatFormat

_REMEMBERED = 4096
"""Passages whose tokens are kept."""


class ApartPrompts:
    """For the model's thread, as the tokenizer is."""

    def __init__(self, chat_format: ChatFormat, instruction: str) -> None:
        self._format = chat_format
        self._instruction = instruction
        self.passage = lru_cache(_REMEMBERED)(self._passage)

    def around(self, conversation: Conversation) -> tuple[Ids, Ids]:
        """Head and tail of a conversation's prompt. Raises RequestError."""
        own = f"\n\n{conversation.system}" if conversation.system else ""
        head, tail = self._format.around(self._instruction, own, conversation.turns)
        return tuple(head), tuple(tail)

    def _passage(self, text: str) -> Ids:
        return tuple(self._format.plain_ids(f"\n\n{text}"))
