"""What is trained of a network: all of it, or low-rank additions to its linear layers (LoRA).

LoRA (arXiv 2106.09685): a frozen weight W gets B·A beside it, A (rank, in) random, B (out, rank)
zero at first. With the additions switched off the network is the untrained one: the teacher.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from semcache.cag.finetune.losses import Teacher
from semcache.cag.finetune.masked_network import MaskedNetwork
from semcache.cag.finetune.masking import Plan
from semcache.errors import ConfigError


class LowRank(nn.Module):
    """A linear layer that is frozen, with an addition of low rank."""

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        device = linear.weight.device
        start = torch.randn(rank, linear.in_features, generator=generator)
        self.down = nn.Parameter((start * linear.in_features**-0.5).to(device))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))
        self.on = True

    def forward(self, inputs: Tensor) -> Tensor:
        """As the linear layer, the addition included while it is on."""
        found: Tensor = self.linear(inputs)
        if not self.on:
            return found
        return found + (inputs.float() @ self.down.T @ self.up.T).to(found.dtype)

    def merged(self) -> nn.Linear:
        """The linear layer with the addition in its weight."""
        with torch.no_grad():
            self.linear.weight += (self.up @ self.down).to(self.linear.weight.dtype)
        return self.linear


class Trainable:
    """`rank` None: the full network is trained. Raises ConfigError where LoRA finds no layers."""

    def __init__(self, network: Any, rank: int | None, seed: int) -> None:
        self.masked = MaskedNetwork(network)
        self._additions: dict[str, LowRank] = {}
        self._untrained: MaskedNetwork | None = None
        if rank is None:
            network.requires_grad_(True)
        else:
            self._add(network, rank, torch.Generator().manual_seed(seed))

    @property
    def network(self) -> Any:
        """The network itself."""
        return self.masked.network

    def parameters(self) -> dict[str, nn.Parameter]:
        """Those that are trained, by name."""
        return {n: p for n, p in self.network.named_parameters() if p.requires_grad}

    def teacher(self, needed: bool) -> Teacher:
        """The untrained model. A full training keeps a copy for it, if it is `needed`."""
        if self._additions:
            return self._switched_off
        if needed:
            copied = copy.deepcopy(self.network).requires_grad_(False).eval()
            copied.set_attn_implementation(self.network.config._attn_implementation)
            self._untrained = MaskedNetwork(copied)
        return self._copy_says

    def merge(self) -> None:
        """End LoRA: the additions go into the weights."""
        for name, addition in self._additions.items():
            parent, _, leaf = name.rpartition(".")
            setattr(self.network.get_submodule(parent), leaf, addition.merged())
        self._additions = {}

    def _add(self, network: Any, rank: int, generator: torch.Generator) -> None:
        network.requires_grad_(False)
        output = network.get_output_embeddings()
        found = [
            (name, module)
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear) and module is not output
        ]
        if not found:
            raise ConfigError("This model has no linear layers for LoRA: train it with --full.")
        for name, linear in found:
            parent, _, leaf = name.rpartition(".")
            addition = LowRank(linear, rank, generator)
            setattr(network.get_submodule(parent), leaf, addition)
            self._additions[name] = addition

    @torch.no_grad()
    def _switched_off(self, made: Plan, rows: list[int]) -> Tensor:
        with self._off():
            return self.masked.logits(made, rows)

    @torch.no_grad()
    def _copy_says(self, made: Plan, rows: list[int]) -> Tensor:
        if self._untrained is None:
            raise RuntimeError("no teacher was kept: ask for it before training")
        with self._untrained.in_force():
            return self._untrained.logits(made, rows)

    @contextmanager
    def _off(self) -> Iterator[None]:
        for addition in self._additions.values():
            addition.on = False
        try:
            yield
        finally:
            for addition in self._additions.values():
                addition.on = True
