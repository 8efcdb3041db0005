"""Questions with a known answer, each in several wordings."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_WORDINGS = {
    "tower": (
        "What is the height of tower {}?",
        "How tall is tower {}?",
        "Tower {}: how high is it?",
    ),
    "river": ("What is the length of river {}?", "How long is river {}?", "River {}: what length?"),
    "lake": (
        "What is the depth of lake {}?",
        "How deep is lake {}?",
        "Lake {}: what is its depth?",
    ),
    "bridge": (
        "In which year was bridge {} opened?",
        "When was bridge {} opened?",
        "Bridge {}: what is the year of its opening?",
    ),
}
KINDS = tuple(_WORDINGS)
_NAME = re.compile(r"\b(tower|river|lake|bridge) ([A-Z]{2}-\d{4,})", re.IGNORECASE)
_SERIAL = re.compile(r"\[made (\d+)\]")


@dataclass(frozen=True, slots=True)
class Thing:
    """What is asked about: its kind decides what is asked."""

    kind: str
    name: str

    def asked(self, wording: int) -> str:
        """One of the wordings."""
        wordings = _WORDINGS[self.kind]
        return wordings[wording % len(wordings)].format(self.name)


def thing(chance: random.Random, serial: int) -> Thing:
    """One that nobody has asked about: `serial` is in its name."""
    letters = "".join(chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(2))
    return Thing(chance.choice(KINDS), f"{letters}-{10_000 + serial}")


def answer_to(question: str, serial: int) -> str:
    """What the upstream says: it names what was asked about, and which making of it this is."""
    found = _NAME.search(question)
    if found is None:
        return f"I do not know. [made {serial}]"
    kind, name = found.group(1).lower(), found.group(2)
    number = sum(name.encode()) * 37 % 4000
    return f"Of {kind} {name} it is {number}, and that is what is known about it. [made {serial}]"


def is_about(answer: str, asked: Thing) -> bool:
    """Whether a whole answer is the one to a question about this."""
    return answer.startswith(f"Of {asked.kind} {asked.name} it is ") and bool(
        _SERIAL.search(answer)
    )


def serial_of(answer: str) -> int:
    """Which making of an answer this is; -1 where it says none."""
    found = _SERIAL.search(answer)
    return int(found.group(1)) if found else -1
