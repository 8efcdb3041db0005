"""What a training step is told: an answer's words, or the distributions of full attention.

Labelled answers are learnt word by word (arXiv 2409.15355). Other answers are no labels: there, the
untrained model's full attention is the teacher (block distillation, arXiv 2605.15913).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from semcache.cag.finetune.examples import Example
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Layouts, Plan, plan

FULL = Layouts()

Teacher: TypeAlias = Callable[[Plan, list[int]], Tensor]
"""The untrained model's logits over a plan."""


def answer_rows(example: Example, made: Plan) -> tuple[list[int], list[int], list[bool]]:
    """Rows before each answer token, the tokens, and whether each is a label."""
    rows: list[int] = []
    tokens: list[int] = []
    labelled: list[bool] = []
    each = zip(made.starts, example.questions, example.answers, example.labelled, strict=True)
    for start, question, answer, label in each:
        first = start + len(question) - 1
        rows += range(first, first + len(answer))
        tokens += answer
        labelled += [label] * len(answer)
    return rows, tokens, labelled


def step_loss(network: MaskedNetwork, example: Example, how: Layouts, teacher: Teacher) -> Tensor:
    """The mean over answer tokens, with its gradient; the network must be in force."""
    made = plan(example.head, example.blocks, example.endings, how)
    rows, tokens, labelled = answer_rows(example, made)
    logits = network.logits(made, rows).float()
    labels = torch.tensor(labelled, device=logits.device)
    losses = torch.zeros(len(rows), device=logits.device)
    if any(labelled):
        targets = torch.tensor(tokens, device=logits.device)
        words = cross_entropy(logits, targets, reduction="none")
        losses = torch.where(labels, words, losses)
    if not all(labelled):
        wholly = plan(example.head, example.blocks, example.endings, FULL)
        wanted, _, _ = answer_rows(example, wholly)
        losses = torch.where(labels, losses, _distance(teacher(wholly, wanted), logits))
    return losses.mean()


def _distance(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher ‖ student) of each row."""
    told = log_softmax(teacher.detach().float(), dim=-1)
    kept = log_softmax(student, dim=-1)
    return kl_div(kept, told, log_target=True, reduction="none").sum(dim=-1)
