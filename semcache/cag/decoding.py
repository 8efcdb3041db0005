"""One request on the model's thread: read the prompt in chunks, then decode choice by choice.

Each `step` is one forward pass at most, so that requests can take turns. A run owns only its own
tail; prefix and model are shared with every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from semcache.cag.conversation import Conversation
from semcache.cag.detokenize import Detokenizer
from semcache.cag.events import Begun, Done, Ended, Event, Said, TokenScore
from semcache.cag.loops import is_loop
from semcache.cag.model import LanguageModel
from semcache.cag.options import Options
from semcache.cag.plain_format import PLAIN_STOP
from semcache.cag.reading import Reading
from semcache.cag.sampling import Sampler, Sampling
from semcache.cag.sharing import Sharing
from semcache.cag.stopping import StopStrings
from semcache.errors import ContextLengthExceeded, RequestError


class Choice:
    """One answer in the making: its sampler, its text, its end."""

    def __init__(self, index: int, model: LanguageModel, options: Options, plain: bool) -> None:
        how = Sampling(
            temperature=options.temperature,
            top_p=options.top_p,
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            logit_bias=options.logit_bias,
        )
        self.index = index
        self.generated = 0
        self.cache: Any = None
        self.token = -1
        self.ended: Ended | None = None
        self._model = model
        self._sampler = Sampler(how, options.seed + index)
        self._logprobs = options.logprobs
        self._stops = StopStrings([*options.stops, PLAIN_STOP] if plain else options.stops)
        self._leading_blank = plain
        self._ends_loops = options.end_loops and not options.temperature
        self._tokens: list[int] = []
        self._scores: list[TokenScore] = []
        self._text = Detokenizer(model.tokenizer)

    def expect(self, prompt: list[int]) -> None:
        """Tell what comes before the first token: it may decide on a leading space."""
        self._text = Detokenizer(self._model.tokenizer, prompt)

    def take(self, logits: Tensor, budget: int) -> Iterator[Event]:
        """Choose the next token of at most `budget`, and say what it completes."""
        self.token = self._sampler.choose(logits)
        self.generated += 1
        if self.token in self._model.stop_tokens:
            yield from self._end("stop")
            return
        if self._logprobs is not None:
            self._scores.append(self._score(logits, self._logprobs))
        text, met = self._stops.push(self._shown(self._text.push(self.token)))
        if text:
            yield self._said(text)
        self._tokens.append(self.token)
        if met:
            self.ended = Ended(self.index, "stop")
            yield self.ended
        elif self._ends_loops and is_loop(self._tokens):
            yield from self._end("stop")
        elif self.generated >= budget:
            yield from self._end("length")

    def _end(self, reason: str) -> Iterator[Event]:
        text, met = self._stops.push(self._shown(self._text.flush()))
        text += "" if met else self._stops.flush()
        if text or self._scores:
            yield self._said(text)
        self.ended = Ended(self.index, "stop" if met or reason == "stop" else "length")
        yield self.ended

    def _said(self, text: str) -> Said:
        scores, self._scores = tuple(self._scores), []
        return Said(self.index, text, scores)

    def _shown(self, text: str) -> str:
        """In the plain format the blank after "Assistant:" comes with the first token."""
        if self._leading_blank:
            text = text.lstrip()
            self._leading_blank = not text
        return text

    def _score(self, logits: Tensor, more: int) -> TokenScore:
        logprobs = logits.float().log_softmax(-1)
        top = logprobs.topk(more)
        pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return TokenScore(
            self._spelt(self.token),
            float(logprobs[self.token]),
            tuple((self._spelt(token), value) for token, value in pairs),
        )

    def _spelt(self, token: int) -> str:
        text: str = self._model.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return text


class Answering:
    """Implements `scheduler.Job`.

    `tell` is called on the model's thread with each event, and says whether anybody listens.
    """

    def __init__(
        self,
        model: LanguageModel,
        sharing: Sharing,
        reading: Reading,
        conversation: Conversation,
        options: Options,
        tell: Callable[[Event | BaseException], bool],
    ) -> None:
        self.cancelled = False
        self._model = model
        self._sharing = sharing
        self._reading = reading
        self._conversation = conversation
        self._options = options
        self._tell = tell
        self._steps = self._run()

    def step(self) -> bool:
        """One forward pass; True at the end."""
        with torch.inference_mode():
            return next(self._steps, True) is True

    def fail(self, error: BaseException) -> None:
        """The end, in an error."""
        self._tell(error)

    def _run(self) -> Iterator[bool]:
        part = self._reading.part_for(self._conversation)
        prompt = part.prompts.ids(self._conversation)
        self._check(prompt, len(part.prompts.prefix_ids))
        budget = min(self._options.max_tokens, self._model.window - len(prompt))
        reused = self._sharing.usable(part.shared(prompt), part.prefix)
        cache = self._sharing.begin(part.prefix, reused)
        logits: Tensor | None = None
        for chunk in self._reading.chunks(prompt[reused:]):
            if logits is not None:
                yield False
            logits = self._model.read(chunk, self._sharing.arguments(cache))
        assert logits is not None
        self._say([Begun(len(prompt), reused)])
        yield from self._decode(self._choices(prompt, cache), logits, budget)

    def _choices(self, prompt: list[int], cache: Any) -> list[Choice]:
        choices = [
            Choice(index, self._model, self._options, self._reading.plain)
            for index in range(self._options.choices)
        ]
        for choice in choices:
            choice.expect(prompt)
            choice.cache = self._sharing.copy(cache) if choice.index else cache
        return choices

    def _decode(self, choices: list[Choice], logits: Tensor, budget: int) -> Iterator[bool]:
        for choice in choices:
            self._say(choice.take(logits, budget))
        running = [choice for choice in choices if choice.ended is None]
        while running:
            for choice in running:
                yield False
                arguments = self._sharing.arguments(choice.cache)
                self._say(choice.take(self._model.read([choice.token], arguments), budget))
            running = [choice for choice in running if choice.ended is None]
        self._say([Done(sum(choice.generated for choice in choices))])

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
