"""Documents of any length for the engine to read: service reports, no two alike."""

from __future__ import annotations

import random

_TOKENS_PER_WORD = 1.37  # of the default model, on these reports

_DEVICES = ("pump", "lift", "oven", "scanner", "compressor", "boiler", "conveyor", "crane")
_FAULTS = (
    "stopped without a warning",
    "ran hotter than allowed",
    "showed a reading that was too low",
    "lost oil at the rear seal",
    "made a grinding noise at start",
    "ignored the emergency switch",
)
_CAUSES = (
    "a worn bearing",
    "a loose cable in the control box",
    "a faulty sensor",
    "a clogged filter",
    "an outdated control program",
    "a cracked housing",
)
_PLACES = ("north hall", "loading bay", "paint shop", "cold store", "test bench", "yard")


def report(number: int, rng: random.Random) -> str:
    """One report of about 75 tokens; its number makes it unique."""
    device, place = rng.choice(_DEVICES), rng.choice(_PLACES)
    return (
        f"Report {number}. The {device} in the {place} {rng.choice(_FAULTS)} on day "
        f"{rng.randint(1, 365)}. The inspection found {rng.choice(_CAUSES)}. The repair took "
        f"{rng.randint(1, 40)} hours and cost {rng.randint(80, 4000)} euros. The {device} was "
        f"back in service after {rng.randint(1, 30)} days and has run without a fault since."
    )


def document(tokens: int, seed: int = 7) -> str:
    """Reports of about `tokens` tokens together."""
    rng = random.Random(seed)
    reports: list[str] = []
    total = 0.0
    while total < tokens:
        reports.append(report(len(reports) + 1, rng))
        total += _TOKENS_PER_WORD * len(reports[-1].split())
    return "\n".join(reports)
