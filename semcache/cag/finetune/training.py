"""The training loop: half of the steps with blocks, half with full attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch

from semcache.cag.finetune.checkpoint import Checkpoints, Progress
from semcache.cag.finetune.examples import Examples
from semcache.cag.finetune.losses import FULL, Teacher, step_loss
from semcache.cag.finetune.masking import Layouts
from semcache.cag.finetune.trainable import Trainable

Tell: TypeAlias = Callable[[int, float], None]
"""After each step: how many are done, and the loss."""

_WARM_UP = 0.05
_MOST_NORM = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """`learning_rate` is the highest one: it rises over the first twentieth, then falls to zero."""

    steps: int
    learning_rate: float
    blocks: Layouts
    save_every: int = 25

    def rate(self, step: int) -> float:
        """At this step, as a share of the highest."""
        warm = max(1, round(self.steps * _WARM_UP))
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (self.steps - step) / max(1, self.steps - warm))


def train(
    trainable: Trainable,
    examples: Examples,
    recipe: Recipe,
    teacher: Teacher,
    checkpoints: Checkpoints,
    tell: Tell,
) -> tuple[float, ...]:
    """Train in place, from the last checkpoint on; the loss of each step. Raises ConfigError."""
    parameters = trainable.parameters()
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
    )
    progress = checkpoints.restore(parameters, optimizer)
    losses = list(progress.losses)
    with trainable.masked.in_force():
        for step in range(progress.steps, recipe.steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate(step)
            how = recipe.blocks if step % 2 == 0 else FULL
            example = examples.at(step)
            if not example.blocks:
                how = FULL
            loss = step_loss(trainable.masked, example, how, teacher)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(parameters.values(), _MOST_NORM)
            optimizer.step()
            losses.append(float(loss.detach()))
            tell(step + 1, losses[-1])
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                checkpoints.save(Progress(step + 1, tuple(losses)), parameters, optimizer)
    return tuple(losses)
