"""Requests for the stream: our own, or read from a file.

Our own intents are an action and a thing that share words with many others, each said in many
ways; the unseen questions of `benchmarks/data` come once each and must never be served.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path

from benchmarks.hit_rate.questions import OWN_DATA, read_cases

NEVER = "oos"
WORDINGS = 20

ACTIONS: dict[str, tuple[str, ...]] = {
    "cancel": ("cancel", "get out of", "terminate", "end"),
    "renew": ("renew", "extend", "prolong", "keep running"),
    "replace": ("replace", "get a new copy of", "get a substitute for", "swap"),
    "pay": ("pay for", "settle", "cover the cost of", "send money for"),
    "refund": ("get a refund for", "get my money back for", "be reimbursed for"),
    "track": ("check the status of", "see how far along is", "follow up on"),
    "share": ("share", "let my family use", "give others access to"),
    "find": ("find", "locate", "look up", "see where I have"),
}  # fmt: skip
THINGS: dict[str, tuple[str, ...]] = {
    "library": ("my library card", "the card of the library", "my borrower's card"),
    "parking": ("my parking permit", "the permit to park", "my residents' parking"),
    "gym": ("my gym membership", "the membership of the fitness club", "my gym contract"),
    "phone": ("my phone plan", "my mobile contract", "the tariff of my mobile"),
    "insurance": ("my car insurance", "the insurance of my car", "my motor policy"),
    "hotel": ("my hotel booking", "the room I booked", "my reservation at the hotel"),
    "parcel": ("my parcel", "the package I ordered", "my delivery"),
    "ticket": ("my train ticket", "the ticket for the train", "my rail ticket"),
    "course": ("my language course", "the language class", "my evening class in Spanish"),
    "stream": ("my film subscription", "the streaming subscription", "my video streaming plan"),
}  # fmt: skip
FRAMES = (
    "How do I {}?", "how can i {}", "I want to {}.", "Please help me {}.", "Can I {} online?",
    "What do I have to do to {}?", "I would like to {}, what now?", "is there a way to {}",
    "Where do I {}?", "Tell me how to {}.", "what are the steps to {}", "I need to {} today.",
)  # fmt: skip

Request = tuple[str, str]


def own_requests(seed: int = 0) -> list[Request]:
    """(text, intent) of our own stream, in an order of their own; NEVER for what comes once."""
    rng = random.Random(seed)
    requests: list[Request] = []
    for action, actions in ACTIONS.items():
        for thing, things in THINGS.items():
            said = [f.format(f"{a} {t}") for f in FRAMES for a in actions for t in things]
            requests += [(text, f"{action} {thing}") for text in rng.sample(said, WORDINGS)]
    unseen = {case.asked for case in read_cases(OWN_DATA) if case.kind == "unseen"}
    return requests + [(text, NEVER) for text in sorted(unseen)]


def read_requests(path: Path) -> list[Request]:
    """JSON lines of `text` and `intent`, or CLINC150's layout (its val, test and oos_test).

    Plain or gzipped. Raises ValueError where a row has neither form.
    """
    raw = path.read_bytes()
    name = path.name
    if name.endswith(".gz"):
        raw, name = gzip.decompress(raw), name.removesuffix(".gz")
    text = raw.decode("utf-8")
    if name.endswith(".json"):
        return _clinc(json.loads(text), path)
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    try:
        return [(str(row["text"]), str(row["intent"])) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name}: every line needs 'text' and 'intent'") from error


def _clinc(parts: dict[str, list[list[str]]], path: Path) -> list[Request]:
    try:
        return [
            (text, intent) for part in ("val", "test", "oos_test") for text, intent in parts[part]
        ]
    except KeyError as error:
        raise ValueError(f"{path.name}: CLINC150 has parts val, test and oos_test") from error


def answer_numbers(intents: Iterable[str]) -> list[int]:
    """A number for each intent; for each NEVER one of its own."""
    numbers: dict[str, int] = {}
    result = []
    for at, intent in enumerate(intents):
        known = numbers.setdefault(intent, len(numbers))
        result.append(-1 - at if intent == NEVER else known)
    return result
