"""What the model's thread tells about an answer, on its way to the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class TokenScore:
    """A chosen token: natural log probability, and the likeliest alternatives, likeliest first."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """The prompt has been read; `reused` of its `prompt` tokens came from the prefix."""

    prompt: int
    reused: int


@dataclass(frozen=True, slots=True)
class Said:
    """More text of one choice. `scores` are of the tokens that it completes, where asked for."""

    choice: int
    text: str
    scores: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """One choice is complete."""

    choice: int
    reason: Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Done:
    """All choices are complete, after `generated` tokens together."""

    generated: int


Event: TypeAlias = Begun | Said | Ended | Done
