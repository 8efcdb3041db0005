"""How near answers from blocks come to those with full attention, on questions kept for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from semcache.cag.finetune.answering import greedy
from semcache.cag.finetune.examples import Example
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Layouts, plan

Judge: TypeAlias = Callable[[int, str], bool]
"""Whether the answer to the question of this number is right."""

Way: TypeAlias = Callable[[Example], Layouts]
"""How the blocks of a context are read."""

FULL = Layouts()


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of the questions: answered right, answered in the words of full attention.

    `divergence`: KL(full ‖ this), nats, mean over the tokens that full attention answers with.
    `each`: whether each question was answered right, in order.
    """

    right: float
    same: float
    divergence: float
    each: Sequence[bool]

    @property
    def questions(self) -> int:
        """How many were asked."""
        return len(self.each)


@dataclass(frozen=True, slots=True)
class Asking:
    """How answers are made: `decode` from token ids to text."""

    stops: Collection[int]
    decode: Callable[[Sequence[int]], str]
    most_tokens: int = 24


def evaluate(
    network: MaskedNetwork,
    contexts: Sequence[Example],
    ways: Mapping[str, Way],
    asking: Asking,
    judge: Judge,
    tell: Callable[[int], None],
) -> dict[str, Score]:
    """The score of full attention and of each way, over all questions of the contexts.

    Questions are numbered in the order of the contexts. `tell` gets how many are done.
    """
    names = ["full", *ways]
    right: dict[str, list[bool]] = {name: [] for name in names}
    same = dict.fromkeys(names, 0)
    distance = dict.fromkeys(names, 0.0)
    done = 0
    with network.in_force(), torch.inference_mode():
        for context in contexts:
            by_full = _answers(network, context, FULL, asking)
            told = _distributions(network, context, by_full, FULL)
            for name in names:
                if name == "full":
                    said, found = by_full, told
                else:
                    how = ways[name](context)
                    said = _answers(network, context, how, asking)
                    found = _distributions(network, context, by_full, how)
                texts = [asking.decode(ids) for ids in said]
                right[name] += [judge(done + at, text) for at, text in enumerate(texts)]
                same[name] += sum(a == b for a, b in zip(said, by_full, strict=True))
                distance[name] += sum(map(_divergence, told, found))
            done += len(context.questions)
            tell(done)
    of = max(1, done)
    return {
        name: Score(sum(right[name]) / of, same[name] / of, distance[name] / of, right[name])
        for name in names
    }


def says(answer: str, wanted: str) -> bool:
    """Whether the answer holds the wanted text, whole words, whatever their case."""
    plain = re.escape(" ".join(wanted.split())).replace(r"\ ", r"\s+")
    return re.search(rf"(?<!\w){plain}(?!\w)", answer, re.IGNORECASE) is not None


def _answers(
    network: MaskedNetwork, context: Example, how: Layouts, asking: Asking
) -> list[list[int]]:
    return greedy(
        network,
        context.head,
        context.blocks,
        context.questions,
        how,
        asking.stops,
        asking.most_tokens,
    )


def _distributions(
    network: MaskedNetwork, context: Example, answers: Sequence[Sequence[int]], how: Layouts
) -> list[Tensor]:
    """For each question, the log-probabilities where full attention chose each token."""
    endings = [[*q, *a] for q, a in zip(context.questions, answers, strict=True)]
    made = plan(context.head, context.blocks, endings, how)
    rows: list[int] = []
    for start, question, answer in zip(made.starts, context.questions, answers, strict=True):
        first = start + len(question) - 1
        rows += range(first, first + max(1, len(answer)))
    logits = log_softmax(network.logits(made, rows).float(), dim=-1)
    return list(torch.split(logits, [max(1, len(answer)) for answer in answers]))


def _divergence(told: Tensor, found: Tensor) -> float:
    return float(kl_div(found, told, log_target=True, reduction="none").sum(dim=-1).mean())
