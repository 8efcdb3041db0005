"""One request on the model's thread: it reads its prompt, then answers choice by choice.

A turn asks it what to read next (`spans`) and gives it the logits (`take`); whatever else is read
in the same forward pass is none of its business. A request owns only its own tail; prefix and
model are shared with every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor

from semcache.cag.answering.choice import Choice
from semcache.cag.answering.events import Begun, Done, Event
from semcache.cag.answering.options import Options
from semcache.cag.knowledge.grounding import Grounding
from semcache.cag.turning.pace import Offer
from semcache.cag.turning.packing import Span
from semcache.cag.turning.turns import Turns
from semcache.errors import ContextLengthExceeded, RequestError


class Answering:
    """Implements `scheduler.Job` and `turns.Turning`.

    `tell` is called on the model's thread with each event, and says whether anybody listens.
    """

    def __init__(
        self,
        turns: Turns,
        ground: Grounding,
        options: Options,
        tell: Callable[[Event | BaseException], bool],
    ) -> None:
        self.cancelled = False
        self._model = turns.model
        self._sharing = turns.sharing
        self._ground = ground
        self._options = options
        self._tell = tell
        self._prompt: list[int] = []
        self._reused = self._read = 0
        self._cache: Any = None
        self._choices: list[Choice] = []
        self._running: list[Choice] = []
        self._proposals: list[list[int]] = []

    def unread(self) -> int:
        """Implements `Turning`."""
        if not self._prompt:
            self._begin()
        return self._ground.unread() + len(self._prompt) - self._read

    def offers(self, most: int) -> list[Offer]:
        """Implements `Turning`."""
        self._proposals = [choice.propose(most) for choice in self._running]
        return [
            Offer(len(proposal), choice.trust)
            for choice, proposal in zip(self._running, self._proposals, strict=True)
        ]

    def spans(self, room: int, drafted: int) -> list[Span]:
        """Implements `Turning`."""
        before = None if self._choices else self._ground.span(room)
        if before is not None:
            return [before]
        left = self._prompt[self._read :]
        if left:
            if self._cache is None:
                self._cache, self._reused = self._ground.begin()
            chunk = left[:room]
            self._read += len(chunk)
            return [Span(self._cache, chunk, 0 if len(chunk) < len(left) else 1)]
        self._proposals = [proposal[:drafted] for proposal in self._proposals]
        return [
            Span(choice.cache, [choice.token, *proposal], 1 + len(proposal), answers=True)
            for choice, proposal in zip(self._running, self._proposals, strict=True)
        ]

    def take(self, logits: Sequence[Tensor]) -> bool:
        """Implements `Turning`."""
        if self._running:
            for choice, scored, proposal in zip(
                self._running, logits, self._proposals, strict=True
            ):
                self._say(choice.go_on(scored, proposal))
        elif len(logits[0]):
            self._answer(logits[0][-1])
        else:
            return False
        self._running = [choice for choice in self._choices if choice.ended is None]
        if self._running:
            return False
        self._say([Done(sum(choice.generated for choice in self._choices))])
        return True

    def fail(self, error: BaseException) -> None:
        """The end, in an error."""
        self._tell(error)

    def _begin(self) -> None:
        prompt = self._ground.prompt()
        self._check(prompt, self._ground.known)
        self._read = self._ground.length
        self._prompt = prompt

    def _answer(self, logits: Tensor) -> None:
        """The prompt has been read: the first token of each choice."""
        budget = min(self._options.max_tokens, self._model.window - len(self._prompt))
        self._say([Begun(len(self._prompt), self._reused)])
        plain = self._ground.plain
        for index in range(self._options.choices):
            cache = self._sharing.copy(self._cache) if index else self._cache
            choice = Choice(index, self._model, self._options, plain, self._prompt, cache, budget)
            self._choices.append(choice)
        self._cache = None
        for choice in self._choices:
            self._say(choice.take(logits))

    def _say(self, events: Iterable[Event]) -> None:
        for event in events:
            if not self._tell(event):
                self.cancelled = True

    def _check(self, prompt: list[int], knowledge: int) -> None:
        window = self._model.window
        if len(prompt) >= window:
            raise ContextLengthExceeded(
                f"The prompt has {len(prompt):,} tokens, {knowledge:,} of them knowledge; the "
                f"model's window of {window:,} must also hold the answer. "
                "Shorten the conversation.",
                param="messages",
            )
        vocabulary = self._model.network.config.get_text_config().vocab_size
        if any(token >= vocabulary for token in self._options.logit_bias):
            raise RequestError(
                f"'logit_bias' names a token beyond the vocabulary of {vocabulary:,}.",
                param="logit_bias",
            )
