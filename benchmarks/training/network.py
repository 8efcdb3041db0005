"""The alignment in torch: what `semcache.verify.alignment` computes, to be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from semcache.sketch import Sketch
from semcache.verify.alignment import ABOUT_PAIRS, ABOUT_TOKENS
from semcache.verify.tokens import FUNCTION, RARITY

WIDTH, HEADS, INNER, LAYERS, HIDDEN, REACH = 64, 4, 96, 2, 24, 4
_ALIKE = (4.0, 0.0, 2.0, 0.0)  # two heads begin at the counterparts, two where they learn to
_NEVER = -1e4


class Batch(NamedTuple):
    """Pairs in rows of N tokens: one question's, the other's, filled up."""

    vectors: Tensor
    about: Tensor
    there: Tensor
    places: Tensor
    cosines: Tensor
    equal: Tensor
    side: Tensor
    pairs: Tensor


class Block(nn.Module):
    """One layer, normalised before attention and before the two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(WIDTH, 3 * WIDTH)
        self.outward = nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.near = nn.Parameter(torch.randn(HEADS, 2 * REACH + 1) / 2)
        self.across = nn.Parameter(torch.randn(HEADS) / 2)
        self.alike = nn.Parameter(torch.tensor(_ALIKE))
        self.equal = nn.Parameter(torch.zeros(HEADS))
        self.drop = nn.Dropout(0.1)

    def forward(self, tokens: Tensor, batch: Batch) -> Tensor:
        size, count, width = tokens.shape
        mixed = self.inward(self.first(tokens)).view(size, count, 3, HEADS, width // HEADS)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        shares = query @ key.transpose(-1, -2) / (width // HEADS) ** 0.5
        near = torch.cat([self.near, self.across[:, None]], 1)[:, batch.places]
        shares = shares + near.permute(1, 0, 2, 3)
        shares = shares + batch.cosines[:, None] * self.alike[:, None, None]
        shares = shares + batch.equal[:, None] * self.equal[:, None, None]
        shares = shares.masked_fill(~batch.there[:, None, None, :], _NEVER).softmax(-1)
        found = (shares @ value).transpose(1, 2).reshape(size, count, width)
        tokens = tokens + self.drop(self.outward(found))
        inner: Tensor = self.down(torch.relu(self.up(self.second(tokens))))
        after: Tensor = tokens + self.drop(inner)
        return after


class Network(nn.Module):
    """Log odds that two questions share an answer."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.vectors, self.about = nn.Linear(dim, WIDTH), nn.Linear(ABOUT_TOKENS, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.last = nn.LayerNorm(WIDTH)
        self.hidden, self.output = nn.Linear(3 * WIDTH, HIDDEN), nn.Linear(HIDDEN, 1)
        self.pairs = nn.Linear(ABOUT_PAIRS, HIDDEN)
        self.drop = nn.Dropout(0.15)
        nn.init.normal_(self.vectors.weight, 0, WIDTH**-0.5)

    def forward(self, batch: Batch) -> Tensor:
        tokens = self.vectors(batch.vectors) + self.about(batch.about)
        for block in self.blocks:
            tokens = block(tokens, batch)
        tokens = self.last(tokens)
        one, other = (
            (tokens * share).sum(1) / share.sum(1)
            for share in ((batch.side == side)[..., None].float() for side in (0, 1))
        )
        most = tokens.masked_fill(~batch.there[..., None], _NEVER).amax(1)
        pooled = self.drop(torch.cat([one + other, (one - other).abs(), most], -1))
        logits: Tensor = self.output(torch.tanh(self.hidden(pooled) + self.pairs(batch.pairs)))
        return logits[:, 0]


def batch_of(pairs: Sequence[tuple[Sketch, Sketch, float]]) -> Batch:
    """Two sketches and the cosine of their questions, each."""
    shape = len(pairs), max(len(one.ids) + len(other.ids) for one, other, _ in pairs)
    vectors = np.zeros((*shape, pairs[0][0].rows.shape[1]), dtype=np.float32)
    ids, side, at = np.full(shape, -1), np.full(shape, 2), np.zeros(shape, dtype=np.int64)
    for row, (one, other, _) in enumerate(pairs):
        split, end = len(one.ids), len(one.ids) + len(other.ids)
        for which, (part, sketch) in enumerate(
            ((slice(0, split), one), (slice(split, end), other))
        ):
            ids[row, part], vectors[row, part] = sketch.ids, sketch.vectors()
            side[row, part], at[row, part] = which, np.arange(len(sketch.ids))
    there, across = side < 2, side[:, :, None] != side[:, None, :]
    cosines = vectors @ vectors.transpose(0, 2, 1)
    open_ = across & there[:, :, None] & there[:, None, :]
    equal = ((ids[:, :, None] == ids[:, None, :]) & open_).astype(np.float32)
    best = np.where(open_, cosines, -1).max(2) * there
    known = equal.max(2)
    words = FUNCTION[ids] * there, RARITY[ids] * there
    near = np.clip(at[:, None, :] - at[:, :, None], -REACH, REACH) + REACH
    one, two = ((side == which).sum(1) for which in (0, 1))
    shorter, longer = np.minimum(one, two), np.maximum(one, two)
    about = (np.array([cosine for *_, cosine in pairs]), shorter / 16, shorter / longer,
             known.sum(1) / (one + two))  # fmt: skip
    parts = (
        vectors,
        np.stack((best, known, *words, known * best), -1).astype(np.float32),
        there,
        np.where(across, 2 * REACH + 1, near),
        cosines,
        equal,
        side,
        np.stack(about, -1).astype(np.float32),
    )
    return Batch(*map(torch.from_numpy, parts))
