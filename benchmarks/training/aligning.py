"""Train the alignment (`semcache.verify.alignment`) on token vectors, with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.training.network import Batch, Network, batch_of
from semcache.sketch import Sketch
from semcache.verify.alignment import FORMAT
from semcache.verify.weight_file import pack, sealed

_BATCH, _RATE = 256, 3e-3

Example: TypeAlias = tuple[Sketch, Sketch, float, bool, float]
"""The two questions, their cosine, whether they share an answer, and the weight of the pair."""


def train_alignment(examples: Sequence[Example], epochs: int, seed: int) -> str:
    """The weight file's text. The same on one machine for one seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(examples[0][0].rows.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), _RATE / 2, weight_decay=0.02)
    steps = epochs * -(-len(examples) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=steps, pct_start=0.15
    )
    network.train()
    with tqdm(total=steps, desc="alignment", disable=None, leave=False) as bar:
        for _ in range(epochs):
            for part in _batches(examples, rng):
                _step(network, optimizer, part)
                schedule.step()
                bar.update()
    return written(network)


def _batches(examples: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
    """Pairs of like length share a batch; a little chance mixes them between epochs."""
    lengths = np.array([len(one[0].ids) + len(one[1].ids) for one in examples])
    order = np.argsort(lengths + rng.random(len(examples)) * 6, kind="stable")
    starts = rng.permutation(range(0, len(order), _BATCH))
    return [[examples[at] for at in order[begin : begin + _BATCH]] for begin in starts]


def _step(network: Network, optimizer: torch.optim.Optimizer, part: Sequence[Example]) -> None:
    batch: Batch = batch_of([one[:3] for one in part])
    same = torch.tensor([float(one[3]) for one in part])
    weight = torch.tensor([one[4] for one in part])
    loss = nn.functional.binary_cross_entropy_with_logits(network(batch), same, reduction="none")
    optimizer.zero_grad()
    (loss * weight).mean().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def written(network: Network) -> str:
    """The weight file's text. What normalisation learned goes into the kernels after it."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "dim": network.vectors.in_features,
        "width": network.vectors.out_features,
        "hidden": network.hidden.out_features,
        "inward": _dense(
            torch.cat([network.vectors.weight, network.about.weight], 1),
            network.vectors.bias + network.about.bias,
        ),
        "blocks": [_block(block) for block in network.blocks],
        "scale": rounded(_array(network.last.weight)),
        "shift": rounded(_array(network.last.bias)),
        "pooled": _dense(network.hidden.weight, network.hidden.bias + network.pairs.bias),
        "pairs": pack(_array(network.pairs.weight.T)),
        "output": _dense(network.output.weight, network.output.bias),
    }
    return sealed(data)


def _block(block: Any) -> dict[str, Any]:
    width = block.inward.in_features
    weight, bias = _after(block.first, block.inward)
    scale = torch.ones(3 * width)
    scale[:width] = (width // len(block.alike)) ** -0.5
    near = torch.cat([block.near, block.across[:, None]], 1)
    return {
        "inward": _dense(weight * scale[:, None], bias * scale),
        "outward": _dense(block.outward.weight, block.outward.bias),
        "up": _dense(*_after(block.second, block.up)),
        "down": _dense(block.down.weight, block.down.bias),
        "near": rounded(_array(near)),
        "alike": rounded(_array(block.alike)),
        "equal": rounded(_array(block.equal)),
    }


def _after(norm: nn.LayerNorm, dense: nn.Linear) -> tuple[Tensor, Tensor]:
    return dense.weight * norm.weight, dense.bias + dense.weight @ norm.bias


def _dense(weight: Tensor, bias: Tensor) -> dict[str, Any]:
    return {"kernel": pack(_array(weight.T)), "bias": rounded(_array(bias))}


def _array(values: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = values.detach().numpy()
    return found


def rounded(values: NDArray[Any]) -> Any:
    """Nested lists with five significant digits."""
    if values.ndim > 1:
        return [rounded(row) for row in values]
    return [float(f"{value:.5g}") for value in values.tolist()]
