"""Train the alignment (`semcache.verify.alignment`) on token vectors, with torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from semcache.sketch import Sketch
from semcache.verify.alignment import FORMAT
from semcache.verify.weight_file import sealed

RANK, WIDTH, HIDDEN = 48, 32, 16
_BATCH, _RATE = 256, 4e-3

Example: TypeAlias = tuple[Sketch, Sketch, bool, float]
"""The two questions, whether they share an answer, and the weight of the pair."""


class _Network(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, RANK, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(6.0 / RANK**0.5))
        self.compare = nn.Linear(3 * RANK, WIDTH)
        self.hidden = nn.Linear(2 * WIDTH, HIDDEN)
        self.output = nn.Linear(HIDDEN, 1)
        self.drop = nn.Dropout(0.15)
        nn.init.normal_(self.projection.weight, 0, RANK**-0.5)

    def forward(self, ours: Tensor, theirs: Tensor, mask: Tensor, other: Tensor) -> Tensor:
        a, b = self.projection(ours), self.projection(theirs)
        met = (a @ b.transpose(1, 2)) * self.sharpness
        both = self._side(a, b, met, mask, other)
        both = both + self._side(b, a, met.transpose(1, 2), other, mask)
        logits: Tensor = self.output(torch.tanh(self.hidden(self.drop(both))))
        return logits[:, 0]

    def _side(self, a: Tensor, b: Tensor, met: Tensor, mask: Tensor, other: Tensor) -> Tensor:
        found = torch.softmax(met.masked_fill(~other[:, None, :], -1e4), -1) @ b
        joined = torch.cat([a, (a - found).abs(), a * found], -1)
        seen = torch.relu(self.compare(self.drop(joined))) * mask[..., None]
        mean = seen.sum(1) / mask.sum(1, keepdim=True)
        return torch.cat([mean, seen.amax(1)], -1)


def train_alignment(examples: Sequence[Example], epochs: int, seed: int) -> str:
    """The weight file's text. The same on one machine for one seed."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = _Network(examples[0][0].rows.shape[1])
    optimizer = torch.optim.AdamW(network.parameters(), _RATE / 2, weight_decay=0.01)
    steps = epochs * -(-len(examples) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    network.train()
    with tqdm(total=steps, desc="alignment", disable=None, leave=False) as bar:
        for _ in range(epochs):
            for batch in _batches(examples, rng):
                _step(network, optimizer, batch)
                schedule.step()
                bar.update()
    return _written(network)


def _batches(examples: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
    """Pairs of like length share a batch; a little chance mixes them between epochs."""
    lengths = np.array([len(one[0].ids) + len(one[1].ids) for one in examples])
    order = np.argsort(lengths + rng.random(len(examples)) * 6, kind="stable")
    starts = rng.permutation(range(0, len(order), _BATCH))
    return [[examples[at] for at in order[begin : begin + _BATCH]] for begin in starts]


def _step(network: _Network, optimizer: torch.optim.Optimizer, batch: Sequence[Example]) -> None:
    ours, mask = _padded([one[0] for one in batch])
    theirs, other = _padded([one[1] for one in batch])
    same = torch.tensor([float(one[2]) for one in batch])
    weight = torch.tensor([one[3] for one in batch])
    logits = network(ours, theirs, mask, other)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, same, reduction="none")
    optimizer.zero_grad()
    (loss * weight).mean().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def _padded(sketches: Sequence[Sketch]) -> tuple[Tensor, Tensor]:
    longest = max(len(one.ids) for one in sketches)
    rows = np.zeros((len(sketches), longest, sketches[0].rows.shape[1]), dtype=np.float32)
    mask = np.zeros(rows.shape[:2], dtype=bool)
    for at, one in enumerate(sketches):
        rows[at, : len(one.ids)] = one.vectors()
        mask[at, : len(one.ids)] = True
    return torch.from_numpy(rows), torch.from_numpy(mask)


def _written(network: _Network) -> str:
    state: dict[str, NDArray[Any]] = {
        name: value.detach().numpy() for name, value in network.state_dict().items()
    }
    data: dict[str, Any] = {
        "format": FORMAT,
        "dim": state["projection.weight"].shape[1],
        "rank": RANK,
        "sharpness": round(float(state["sharpness"]), 6),
        "projection": rounded(state["projection.weight"].T),
    }
    for layer in ("compare", "hidden", "output"):
        data[layer] = rounded(state[f"{layer}.weight"].T)
        data[f"{layer}_bias"] = rounded(state[f"{layer}.bias"])
    return sealed(data)


def rounded(values: NDArray[Any]) -> Any:
    """Nested lists with five significant digits."""
    if values.ndim > 1:
        return [rounded(row) for row in values]
    return [float(f"{value:.5g}") for value in values.tolist()]
