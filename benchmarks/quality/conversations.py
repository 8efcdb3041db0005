"""python -m benchmarks.quality.conversations: is a turn ever answered out of another conversation?

Every conversation is played to one cache, its earlier turns and answers in front of each turn. A
turn that gets an answer of another conversation or turn is a trap served; first turns, which have
no context yet, are counted by themselves. Then each turn is asked with one earlier message changed
or left out: not once may it hit. Then as it was: it must hit exactly, where it was stored.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from semcache.cache import SemCache
from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion, replay, text_completion_of
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Hit
from semcache.keys import Source
from semcache.policy import PolicySettings
from semcache.store import LocalStore

OWN_DATA = Path(__file__).resolve().parent.parent / "data" / "conversations.jsonl"
SYSTEM = "You are a helpful assistant."
OTHER_SYSTEM = "You are a terse assistant."
GATES = (0.6, 0.9)  # GPTCache's 0.8, and its 0.95

Talk = tuple[str, ...]
Messages = list[dict[str, Any]]


def read_talks(path: Path) -> list[Talk]:
    """Conversations from JSON lines with `turns`, or from TREC CAsT's topics (JSON, gzipped)."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    if text.lstrip().startswith("["):
        topics = json.loads(text)
        return [tuple(turn["raw_utterance"].strip() for turn in one["turn"]) for one in topics]
    return [tuple(json.loads(line)["turns"]) for line in text.splitlines() if line.strip()]


@dataclass
class Teller:
    """Answers with the name of conversation and turn, so that a mix-up shows."""

    name: str = "teller"
    says: str = ""

    def accepts(self, request: ChatRequest) -> bool:
        return True

    def source(self, request: ChatRequest) -> Source:
        return Source(self.name)

    async def answer(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        for chunk in replay(said(self.says)):
            yield chunk

    def models(self) -> Sequence[str]:
        return ("m",)

    async def aclose(self) -> None:
        return None


def said(text: str) -> Completion:
    """An answer of this text."""
    return text_completion_of(text, id="chatcmpl-0", created=0, model="m")


def messages(talk: Talk, at: int, name: str, system: str = SYSTEM) -> Messages:
    """The conversation up to a turn, the answers before it included."""
    found: Messages = [{"role": "system", "content": system}]
    for turn in range(at):
        found.append({"role": "user", "content": talk[turn]})
        found.append({"role": "assistant", "content": answer_of(name, turn)})
    return [*found, {"role": "user", "content": talk[at]}]


def answer_of(name: str, turn: int) -> str:
    """What is answered at one place."""
    return f"The answer of conversation {name}, turn {turn}."


def variants(before: Messages) -> list[Messages]:
    """The same last turn under another context: each message changed, or left out, by itself."""
    found = [[{"role": "system", "content": OTHER_SYSTEM}, *before[1:]], before[1:]]
    for at in range(1, len(before) - 1):
        changed = {**before[at], "content": f"{before[at]['content']} Really?"}
        found.append([*before[:at], changed, *before[at + 1 :]])
        found.append([*before[:at], *before[at + 1 :]])
    return found


class Table:
    """One cache, and what it was asked."""

    def __init__(self, folder: Path, gate: float) -> None:
        encoder = SentenceEncoder.open()
        store = LocalStore(folder, dim=encoder.dim, embedder=encoder.fingerprint)
        settings = PolicySettings(threshold=gate, volatile="off", personal="off")
        self.teller = Teller()
        self.cache = SemCache(
            store=store, embedder=encoder, answerers=[self.teller], settings=settings
        )

    async def ask(self, asked: Messages, answer: str, *, store: bool = True) -> tuple[str, str]:
        """(exact, semantic or miss; the answer that was given)."""
        self.teller.says = answer
        request = ChatRequest.from_wire({"model": "m", "messages": asked}, tenant="t")
        reply = await self.cache.ask(request) if store else self.cache.get(request)
        tier = reply.decision.tier if isinstance(reply.decision, Hit) else "miss"
        text = "" if tier == "miss" and not store else (await reply.completion()).text
        await reply.stored()
        reply.close()
        return tier, text


async def play(talks: Sequence[Talk], folder: Path, gate: float) -> dict[str, Any]:
    """All figures at one gate (a cosine)."""
    table = Table(folder, gate)
    counts = dict.fromkeys(
        ("turns", "first_served", "traps_served", "changed", "changed_served", "repeats", "missed"),
        0,
    )
    served: list[tuple[str, str]] = []
    stored: list[tuple[int, int]] = []
    for at, talk in enumerate(tqdm(talks, desc=f"gate {gate}", disable=None, leave=False)):
        for turn in range(len(talk)):
            right = answer_of(str(at), turn)
            text = (await table.ask(messages(talk, turn, str(at)), right))[1]
            counts["turns"] += 1
            if text != right:
                counts["traps_served" if turn else "first_served"] += 1
                served.append((talk[turn], text))
            else:
                stored.append((at, turn))
    for at, turn in stored:
        before = messages(talks[at], turn, str(at))
        for other in variants(before):
            counts["changed"] += 1
            counts["changed_served"] += (await table.ask(other, "", store=False))[0] != "miss"
        counts["repeats"] += 1
        counts["missed"] += (await table.ask(before, "", store=False))[0] != "exact"
    await table.cache.aclose()
    return {**counts, "served": served}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    name = "python -m benchmarks.quality.conversations"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument("--data", type=Path, default=OWN_DATA, help="JSON lines, or CAsT's topics")
    args = parser.parse_args(argv)
    talks = read_talks(args.data)
    result: dict[str, Any] = {"conversations": len(talks)}
    print(f"{len(talks)} conversations")
    for gate in GATES:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(play(talks, Path(folder), gate))
        result[f"cosine {gate}"] = found
        print(f"gate {gate}: " + ", ".join(f"{name} {count}" for name, count in found.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
