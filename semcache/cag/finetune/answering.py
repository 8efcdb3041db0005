"""Greedy answers over a plan, several questions on one context at once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Ids, Layouts, plan


@torch.inference_mode()
def greedy(
    network: MaskedNetwork,
    head: Ids,
    blocks: Sequence[Ids],
    endings: Sequence[Ids],
    how: Layouts,
    stops: Collection[int],
    most_tokens: int,
) -> list[list[int]]:
    """The answers' tokens, without the one that ends them; the network must be in force."""
    made = plan(head, blocks, endings, how)
    sight = network.sight(made, keep=True)
    lasts = [start + len(e) - 1 for start, e in zip(made.starts, endings, strict=True)]
    logits = network.logits(made, lasts, sight)
    next_at = [int(made.positions[last]) + 1 for last in lasts]
    seen = made.sees[lasts]
    answers: list[list[int]] = [[] for _ in endings]
    open_rows = list(range(len(endings)))
    for step in range(most_tokens):
        tokens = logits.argmax(dim=-1).tolist()
        going = []
        for row, token in zip(open_rows, tokens, strict=True):
            if token not in stops:
                answers[row].append(token)
                going.append(row)
        if not going or step == most_tokens - 1:
            break
        seen = _seen_by(seen, open_rows, going)
        open_rows = going
        sight.go_on(seen.to(network.device))
        positions = torch.tensor([next_at[row] + step for row in going])
        ids = torch.tensor([answers[row][-1] for row in going])
        logits = network.run(ids, positions, sight, range(len(going)))
    return answers


def _seen_by(seen: Tensor, before: Sequence[int], going: Sequence[int]) -> Tensor:
    """What the rows that go on see, each its own new token included: (going, keys + going)."""
    rows = [before.index(row) for row in going]
    new = torch.eye(len(going), dtype=torch.bool)
    return torch.cat((seen[rows], new), dim=1)
