"""python -m benchmarks.cag.stored_blocks: what an answer from stored blocks costs before its text.

Passages of 128 tokens are read once and stored; then a question is asked over as many of them as
a context holds. Measured through the engine's own parts, without retrieval: choosing places and
taking blocks from memory or from the disk (`assembled`), the repair, and the question's own 50
tokens (`first_token`). `full` is the same prompt with nothing stored.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from semcache.cag.blocks.block_file import BlockFolder
from semcache.cag.blocks.block_store import BlockStore
from semcache.cag.blocks.placing import PlacedGrounding, Shelf
from semcache.cag.blocks.repair import repair_of
from semcache.cag.blocks.shelving import Shelving, Stocking
from semcache.cag.opening.loading import load
from semcache.cag.prompting.conversation import Conversation, Turn
from semcache.cag.settings import CagSettings, default_cache_dir
from semcache.cag.turning.scheduler import Scheduler
from semcache.retrieval import Passage

PASSAGE_TOKENS = 128
REPAIRS = ("none", "sink", "head", "epic:16", "blend:0.15", "head+epic:16")
_WORDS = (
    "pump valve motor belt sensor gauge filter heater switch cable seal drum rotor shaft panel "
    "line shift north south red green blue spare worn loose dry hot cold early late"
).split()
QUESTION = "Which of the parts named above was replaced first, and who has signed for it? " * 2


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one question before its first token; `read`: tokens that were not stored."""

    assembled: float
    begun: float
    first_token: float
    read: int


def passages(count: int, counted: Any) -> list[Passage]:
    """Texts of about `PASSAGE_TOKENS` each, all different."""
    rng = random.Random(11)
    made = []
    for number in range(count):
        text = f"Record {number}."
        while counted(text) < PASSAGE_TOKENS - 2:
            text += f" {rng.choice(_WORDS)} {rng.randrange(1000)}"
        id_ = sha256(text.encode()).hexdigest()
        made.append(Passage(id_, f"record{number:04}.txt", "", text, PASSAGE_TOKENS))
    return made


def asked(shelf: Shelf, given: Sequence[Passage]) -> Spent:
    """One question over these passages; on the model's thread."""
    ground = PlacedGrounding(shelf, given, Conversation("", (Turn("user", QUESTION),)), "")
    with torch.inference_mode():
        started = time.perf_counter()
        prompt = ground.prompt()
        assembled = time.perf_counter()
        while (span := ground.span(shelf.chunk_tokens)) is not None:
            shelf.model.read(span.tokens, shelf.sharing.arguments(span.cache))
        cache, there = ground.begin()
        begun = time.perf_counter()
        shelf.model.read(prompt[ground.length :], shelf.sharing.arguments(cache))
        done = time.perf_counter()
    ground.close()
    return Spent(assembled - started, begun - assembled, done - started, ground.length - there)


def emptied(shelf: Shelf, folder: Path) -> Shelf:
    """The same shelf with nothing in memory, over the blocks in a folder."""
    dtype = shelf.model.dtype
    disk = BlockFolder(folder, 10**12, dtype, dtype)
    return replace(shelf, store=BlockStore(disk, 10**12, shelf.model.device))


def measured(shelf: Shelf, given: Sequence[Passage], folder: Path, runs: int) -> dict[str, Any]:
    """One repair at one length, everything stored: from the disk, and from memory."""
    fresh = emptied(shelf, folder)
    asked(fresh, given)  # the first passage is read after the head, and stored
    fresh.store.close()
    fresh = emptied(shelf, folder)
    from_disk = asked(fresh, given)
    warm = [asked(fresh, given) for _ in range(runs)]
    fresh.store.close()
    return {
        "repair": shelf.repair.name,
        "assembled_from_disk_ms": from_disk.assembled * 1e3,
        "first_token_from_disk_s": from_disk.first_token,
        "assembled_ms": statistics.median(one.assembled for one in warm) * 1e3,
        "repaired_ms": statistics.median(one.begun for one in warm) * 1e3,
        "read_again": warm[0].read,
        "first_token_s": statistics.median(one.first_token for one in warm),
    }


def measure(
    lengths: Sequence[int], repairs: Sequence[str], full_up_to: int, runs: int, folder: Path
) -> list[dict[str, Any]]:
    """Rows by length and repair."""
    settings = CagSettings(mode="blocks", blocks_disk_bytes=10**12, blocks_memory_bytes=10**12)
    scheduler = Scheduler(max_active=1, max_queued=1)
    try:
        loaded = scheduler.call(
            lambda: load(settings, default_cache_dir(), time.time(), lambda line: None)
        )
        shelving = Shelving(settings, loaded, scheduler, folder)
        shelf = shelving.shelf()
        given = passages(max(lengths) // PASSAGE_TOKENS, loaded.chat_format.count)
        rows = []
        for sink in sorted({repair_of(one).sink for one in repairs}):
            stocked = replace(shelf, repair=repair_of(sink))
            scheduler.run(Stocking(stocked, given, lambda there: None))
        shelving.close()
        for length in lengths:
            some = given[: length // PASSAGE_TOKENS]
            full = None
            if length <= full_up_to:
                with tempfile.TemporaryDirectory() as empty:
                    nothing = emptied(replace(shelf, layout="tree"), Path(empty))
                    full = scheduler.call(partial(asked, nothing, some)).first_token
                    nothing.store.close()
            for repair in repairs:
                with_it = replace(shelf, repair=repair_of(repair))
                row = scheduler.call(partial(measured, with_it, some, folder / "blocks", runs))
                of_full = {} if full is None else {"of_full": row["first_token_s"] / full}
                rows.append({"tokens": length, "full_s": full, **row, **of_full})
    finally:
        scheduler.close()
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table for people."""
    print(
        "\n tokens repair          full, s  assembled, ms  repaired  read   first token, s   of\n"
        "                                 memory   disk       ms  again   memory    disk  full, %"
    )
    for row in rows:
        full = "      -" if row["full_s"] is None else f"{row['full_s']:7.2f}"
        share = f"{100 * row['of_full']:8.2f}" if "of_full" in row else "       -"
        print(
            f"{row['tokens']:7d} {row['repair']:15s}{full}{row['assembled_ms']:9.1f}"
            f"{row['assembled_from_disk_ms']:7.1f}{row['repaired_ms']:9.1f}{row['read_again']:7d}"
            f"{row['first_token_s']:9.3f}{row['first_token_from_disk_s']:8.3f}{share}"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cag.stored_blocks")
    parser.add_argument("--lengths", type=int, nargs="*", default=[512, 1024, 2048, 4096])
    parser.add_argument("--repairs", nargs="*", default=list(REPAIRS))
    parser.add_argument("--full-up-to", type=int, default=8192, help="tokens; it takes a while")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the blocks here")
    parser.add_argument("--out", type=Path, help="a JSON file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(
            args.lengths, args.repairs, args.full_up_to, args.runs, args.folder or Path(folder)
        )
    show(rows)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
