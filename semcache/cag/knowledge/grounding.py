"""What one request answers from, as its turns on the model's thread see it."""

from __future__ import annotations

from typing import Any, Protocol

from semcache.cag.context.prefix import Prefix, shared_length
from semcache.cag.context.sharing import Sharing
from semcache.cag.prompting.conversation import Conversation
from semcache.cag.prompting.prompt import Prompts
from semcache.cag.turning.packing import Span
from semcache.citations import Citation
from semcache.grounds import Grounds


class Grounding(Protocol):
    """The context of one request: `prompt` first, `span` until there is none, then `begin`.

    Every method but `close` is called on the model's thread.
    """

    citations: tuple[Citation, ...]
    """The passages that the answer is given; none where it is given all of the knowledge."""

    grounds: Grounds
    """What the answer rests on."""

    plain: bool
    """Whether the conversation is in the plain format (`plain_format`)."""

    def prompt(self) -> list[int]:
        """All tokens of the prompt. Raises RequestError."""
        ...

    @property
    def known(self) -> int:
        """How many of them are knowledge."""
        ...

    @property
    def length(self) -> int:
        """How many leading ones the context holds; at least one more follows."""
        ...

    def unread(self) -> int:
        """How many tokens of the context must still be read."""
        ...

    def span(self, room: int) -> Span | None:
        """At most `room` of them to read now, or None."""
        ...

    def begin(self) -> tuple[Any, int]:
        """The request's own cache after the context, and how many tokens were there already."""
        ...

    def close(self) -> None:
        """Give back what is shared. On any thread, at any time, more than once."""
        ...


class PrefixGrounding:
    """Implements `Grounding`: one prefix that was read before any request came."""

    def __init__(
        self,
        prompts: Prompts,
        prefix: Prefix | None,
        sharing: Sharing,
        conversation: Conversation,
        plain: bool,
        grounds: Grounds,
    ) -> None:
        self.citations: tuple[Citation, ...] = ()
        self.grounds = grounds
        self.plain = plain
        self.length = 0
        self._prompts = prompts
        self._prefix = prefix
        self._sharing = sharing
        self._conversation = conversation

    def prompt(self) -> list[int]:
        """Implements `Grounding`."""
        prompt = self._prompts.ids(self._conversation)
        self.length = self._sharing.usable(shared_length(prompt, self._prefix), self._prefix)
        return prompt

    @property
    def known(self) -> int:
        """Implements `Grounding`."""
        return len(self._prompts.prefix_ids)

    def unread(self) -> int:
        """Implements `Grounding`."""
        return 0

    def span(self, room: int) -> Span | None:
        """Implements `Grounding`."""
        return None

    def begin(self) -> tuple[Any, int]:
        """Implements `Grounding`."""
        return self._sharing.begin(self._prefix, self.length), self.length

    def close(self) -> None:
        """Implements `Grounding`."""
