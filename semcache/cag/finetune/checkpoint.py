"""A training that was killed goes on where it last saved: weights and moments, step and losses."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from semcache.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Progress:
    """`steps` are done; `losses` of each."""

    steps: int
    losses: tuple[float, ...]


class Checkpoints:
    """In `folder`; `purpose` says what is trained on what, and a checkpoint of another is refused.

    A save appears whole or not at all.
    """

    def __init__(self, folder: Path, purpose: str) -> None:
        self._folder = folder
        self._purpose = purpose

    def save(
        self,
        progress: Progress,
        parameters: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """Replace the last one. Raises OSError."""
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        making = self._folder.with_name(f".{self._folder.name}-{secrets.token_hex(4)}")
        making.mkdir(mode=0o700)
        try:
            save_file(
                {n: p.detach().contiguous() for n, p in parameters.items()}, making / _TRAINED
            )
            save_file(_moments(parameters, optimizer), making / _MOMENTS)
            state = {"purpose": self._purpose, "steps": progress.steps, "losses": progress.losses}
            (making / _STATE).write_text(json.dumps(state), encoding="utf-8")
            for path in making.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            old = self._folder.with_name(f"{making.name}-old")
            if self._folder.exists():
                self._folder.replace(old)
            making.replace(self._folder)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def restore(
        self, parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
    ) -> Progress:
        """Take up the last one; nothing done where there is none. Raises ConfigError."""
        if not self._folder.is_dir():
            return Progress(0, ())
        try:
            state = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
            trained = load_file(self._folder / _TRAINED)
            moments = load_file(self._folder / _MOMENTS)
            same = state["purpose"] == self._purpose and trained.keys() == parameters.keys()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ConfigError(
                f"The checkpoint in {self._folder} cannot be read: {error}. "
                "Remove it to begin anew."
            ) from error
        if not same:
            raise ConfigError(
                f"The checkpoint in {self._folder} is of another training: "
                "remove it to begin anew, or give the same options and data."
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(trained[name])
        _set_moments(moments, state["steps"], parameters, optimizer)
        return Progress(state["steps"], tuple(state["losses"]))

    def remove(self) -> None:
        """Training is over."""
        shutil.rmtree(self._folder, ignore_errors=True)


_TRAINED, _MOMENTS, _STATE = "trained.safetensors", "moments.safetensors", "state.json"
_KINDS = ("exp_avg", "exp_avg_sq")


def _moments(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Of AdamW: both moments of each parameter."""
    return {
        f"{kind}:{name}": optimizer.state[parameter][kind].contiguous()
        for name, parameter in parameters.items()
        for kind in _KINDS
        if parameter in optimizer.state
    }


def _set_moments(
    moments: Mapping[str, Tensor],
    steps: int,
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
) -> None:
    for name, parameter in parameters.items():
        found: dict[str, Any] = {
            kind: moments[f"{kind}:{name}"].to(parameter.device)
            for kind in _KINDS
            if f"{kind}:{name}" in moments
        }
        if found:
            optimizer.state[parameter] = {"step": torch.tensor(float(steps)), **found}
