"""From a conversation to token ids, by the model's own chat template.

The knowledge stands at the very beginning, in the system message, or in the first user turn where
the template knows no system role. A request's own system text comes after it, so that one prefix
serves all requests. What a prompt shares with the prefix is compared token by token for every
request: a template that moves things around costs speed, never correctness.

Special tokens spelt out in a text stay text (`<|im_end|>` in a question ends no turn): they are
marked before the template is applied, and what was marked is tokenised as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.prompting.plain_format import PLAIN_TEMPLATE
from semcache.errors import RequestError

_PRIVATE_USE = range(0xE000, 0xF8FF)
_PROBE = "probe 7"
_OTHER_PROBE = "Zebra?"


class ChatFormat:
    """A tokenizer with its chat template. `date` (any text) is the date that templates may show."""

    def __init__(self, tokenizer: Any, date: str = "") -> None:
        self._tokenizer = tokenizer
        self.is_plain = not tokenizer.chat_template
        self._date = {"date_string": date} if date else {}
        specials = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
        specials.update(tokenizer.all_special_tokens)
        longest_first = sorted(filter(None, specials), key=len, reverse=True)
        self._specials = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._bos = self._own_bos() if self.is_plain else []
        self.has_system = self._knows_system()

    def ids(self, system: str, turns: Sequence[Turn]) -> list[int]:
        """The prompt's tokens, up to where the answer begins. Raises RequestError."""
        messages = self._messages(system, turns)
        mark = _unused_character(messages)
        marked = [{**m, "content": self._marked(m["content"], mark)} for m in messages]
        return self._bos + self._tokenised(self._templated(marked), mark)

    def around(self, before: str, after: str, turns: Sequence[Turn]) -> tuple[list[int], list[int]]:
        """The tokens on both sides of a place in the system text, between `before` and `after`.

        Raises RequestError where the template refuses, or does not show the place just once.
        """
        place = _unused_character([{"content": before + after}, *self._messages("", turns)])
        messages = self._messages(before + place + after, turns)
        mark = _unused_character(messages)
        marked = [{**m, "content": self._marked(m["content"], mark)} for m in messages]
        rendered = self._templated(marked)
        sides = rendered.split(place)
        if len(sides) != 2:
            raise RequestError(
                "The model's chat template does not show the system text once: its knowledge "
                "cannot be read apart. Set 'cag.mode' to whole.",
                param="messages",
            )
        return self._bos + self._tokenised(sides[0], mark), self._tokenised(sides[1], mark)

    def plain_ids(self, text: str) -> list[int]:
        """The tokens of a text by itself, special ones spelt out."""
        return self._encode(text, plain=True)

    def count(self, text: str) -> int:
        """The tokens of a text by itself."""
        return len(self._encode(text, plain=True))

    def _messages(self, system: str, turns: Sequence[Turn]) -> list[dict[str, str]]:
        messages = [{"role": turn.role, "content": turn.text} for turn in turns]
        if not system:
            return messages
        if self.has_system:
            return [{"role": "system", "content": system}, *messages]
        if messages and messages[0]["role"] == "user":
            first = messages.pop(0)
            system = f"{system}\n\n{first['content']}"
        return [{"role": "user", "content": system}, *messages]

    def _templated(self, messages: list[dict[str, str]]) -> str:
        try:
            return self._rendered(messages)
        except TemplateError as error:
            raise RequestError(
                f"The model's chat template refuses this conversation: {error}", param="messages"
            ) from None

    def _marked(self, text: str, mark: str) -> str:
        return self._specials.sub(lambda met: met[0][0] + mark + met[0][1:], text)

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            messages,
            chat_template=PLAIN_TEMPLATE if self.is_plain else None,
            tokenize=False,
            add_generation_prompt=True,
            **self._date,
        )
        return rendered

    def _tokenised(self, rendered: str, mark: str) -> list[int]:
        if mark not in rendered:
            return self._encode(rendered)
        ids: list[int] = []
        at = 0
        for met in self._specials.finditer(rendered):
            ids += self._encode(rendered[at : met.start()].replace(mark, ""), plain=True)
            ids.append(self._tokenizer.convert_tokens_to_ids(met[0]))
            at = met.end()
        return ids + self._encode(rendered[at:].replace(mark, ""), plain=True)

    def _encode(self, text: str, *, plain: bool = False) -> list[int]:
        if not text:
            return []
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=plain, verbose=False
        )["input_ids"]
        return ids

    def _own_bos(self) -> list[int]:
        bos = self._tokenizer.bos_token_id
        begun = self._tokenizer(_PROBE)["input_ids"][:1]
        return begun if bos is not None and begun == [bos] else []

    def _knows_system(self) -> bool:
        system = {"role": "system", "content": _PROBE}
        try:
            return _PROBE in self._rendered([system, {"role": "user", "content": _OTHER_PROBE}])
        except TemplateError:
            return False


class Prompts:
    """The prompts of one knowledge. `prefix_ids` is what they share; empty without knowledge."""

    def __init__(self, chat_format: ChatFormat, knowledge: str, instruction: str) -> None:
        self._format = chat_format
        self._head = f"{instruction}\n\n{knowledge}".strip() if knowledge else ""
        self.prefix_ids = self._shared() if knowledge else ()

    def ids(self, conversation: Conversation) -> list[int]:
        """The tokens of the whole prompt, knowledge included. Raises RequestError."""
        system = "\n\n".join(filter(None, (self._head, conversation.system)))
        return self._format.ids(system, conversation.turns)

    def _shared(self) -> tuple[int, ...]:
        """The leading tokens of prompts that differ in every way that requests can."""
        probes = [
            Conversation("", (Turn("user", _PROBE),)),
            Conversation("", (Turn("user", _OTHER_PROBE),)),
            Conversation(_OTHER_PROBE, (Turn("user", _PROBE),)),
            Conversation(
                "", (Turn("user", _PROBE), Turn("assistant", _PROBE), Turn("user", _PROBE))
            ),
        ]
        prompts = [self.ids(probe) for probe in probes]
        shared = 0
        for tokens in zip(*prompts, strict=False):
            if len(set(tokens)) > 1:
                break
            shared += 1
        return tuple(prompts[0][:shared])


def _unused_character(messages: Sequence[dict[str, str]]) -> str:
    """A private-use character that no text contains."""
    used = {char for message in messages for char in message["content"] if char >= "\ue000"}
    return next((mark for mark in map(chr, _PRIVATE_USE) if mark not in used), "\uf8ff")
