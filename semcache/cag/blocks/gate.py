"""Whether a model may answer from blocks without being told to: it must have been measured.

    <model folder>/blocks_gate.json

    {"model": <weights, 64 hex digits>, "mode": "blocks", "repair": "none", "full": 0.92,
     "blocks": 0.91, "questions": 300, "agreement": 0.97}

Written by who fine-tunes a model for blocks. `full` and `blocks` are the shares of right answers
with full attention and from blocks under this repair: repairs help a model that knows no blocks,
and hurt one that does, so a gate is for one repair alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("semcache.cag")

NAME = "blocks_gate.json"
MOST_LOST = 0.01
"""One point of accuracy."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A report. `full`, `blocks` and `agreement` are shares, 0..1."""

    model: str
    repair: str
    full: float
    blocks: float
    questions: int
    agreement: float

    @property
    def passed(self) -> bool:
        """Whether blocks lose one point of accuracy at most."""
        return self.questions > 0 and self.blocks >= self.full - MOST_LOST


def read_gate(folder: Path, weights: str) -> Gate | None:
    """The report of the model in a folder; None where there is none for these weights."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        said: dict[str, Any] = orjson.loads(path.read_bytes())
        gate = Gate(
            model=str(said["model"]),
            repair=str(said["repair"]),
            full=float(said["full"]),
            blocks=float(said["blocks"]),
            questions=int(said["questions"]),
            agreement=float(said["agreement"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is not a gate report: %s", path, error)
        return None
    if gate.model != weights:
        log.warning("%s is of other weights than the model's", path)
        return None
    return gate
