"""One answer in the making: its sampler, its text, its end. Knows nothing of requests or turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from torch import Tensor

from semcache.cag.answering.detokenize import Detokenizer
from semcache.cag.answering.drafting import Drafts
from semcache.cag.answering.events import Ended, Event, Said, TokenScore
from semcache.cag.answering.loops import is_loop
from semcache.cag.answering.options import Options
from semcache.cag.answering.sampling import Sampler, Sampling
from semcache.cag.answering.stopping import StopStrings
from semcache.cag.network.model import LanguageModel
from semcache.cag.prompting.plain_format import PLAIN_STOP


class Choice:
    """`cache` has read the prompt; it is let go at the end. At most `budget` tokens are made."""

    def __init__(
        self,
        index: int,
        model: LanguageModel,
        options: Options,
        plain: bool,
        prompt: Sequence[int],
        cache: Any,
        budget: int,
    ) -> None:
        self.index = index
        self.generated = 0
        self.cache = cache
        self.token = -1
        self.ended: Ended | None = None
        self._model = model
        self._budget = budget
        self._sampler = Sampler(_sampling(options), options.seed + index)
        self._logprobs = options.logprobs
        self._stops = StopStrings([*options.stops, PLAIN_STOP] if plain else options.stops)
        self._leading_blank = plain
        self._ends_loops = options.end_loops and not options.temperature
        self._tokens: list[int] = []
        self._scores: list[TokenScore] = []
        self._text = Detokenizer(model.tokenizer, prompt)
        self._drafts = None if options.temperature else Drafts(prompt)

    @property
    def trust(self) -> float:
        """How likely the next proposed token is kept."""
        return 0.0 if self._drafts is None else self._drafts.trust

    def propose(self, most: int) -> list[int]:
        """At most `most` tokens that may follow the last one; greedy answers only."""
        most = min(most, self._budget - self.generated - 1)
        return [] if self._drafts is None else self._drafts.propose(most)

    def take(self, logits: Tensor) -> Iterator[Event]:
        """Choose the next token, and say what it completes."""
        self.token = self._sampler.choose(logits)
        self.generated += 1
        if self._drafts is not None:
            self._drafts.add(self.token)
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
            yield self._over("stop")
        elif self._ends_loops and is_loop(self._tokens):
            yield from self._end("stop")
        elif self.generated >= self._budget:
            yield from self._end("length")

    def go_on(self, scored: Tensor, proposal: Sequence[int]) -> Iterator[Event]:
        """Take tokens as long as the proposal was right; `scored` are logits after each of its.

        The first row is that of the token before the proposal.
        """
        if not proposal:
            yield from self.take(scored[-1])
            return
        kept = 0
        for at, logits in enumerate(scored):
            yield from self.take(logits)
            if self.ended is not None or at == len(proposal) or self.token != proposal[at]:
                break
            kept += 1
        assert self._drafts is not None
        self._drafts.judge(len(proposal), kept)
        if self.cache is not None:
            self.cache.cut(self.cache.length - len(proposal) + kept)

    def _end(self, reason: str) -> Iterator[Event]:
        text, met = self._stops.push(self._shown(self._text.flush()))
        text += "" if met else self._stops.flush()
        if text or self._scores:
            yield self._said(text)
        yield self._over("stop" if met or reason == "stop" else "length")

    def _over(self, reason: Literal["stop", "length"]) -> Ended:
        self.ended = Ended(self.index, reason)
        self.cache = None
        return self.ended

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


def _sampling(options: Options) -> Sampling:
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        logit_bias=options.logit_bias,
    )
