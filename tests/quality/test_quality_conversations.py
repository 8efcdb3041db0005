"""The benchmark of conversations: it reads both forms, and finds a mix-up where there is one."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

from benchmarks.quality.conversations import OWN_DATA, messages, play, read_talks, variants

TOWERS = [
    ("Tell me about the Eiffel Tower.", "How tall is it?", "Who built it?"),
    ("Tell me about the Tokyo Tower.", "How tall is it?", "Who built it?"),
]


def test_both_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "cast.json.gz"
    turns = [{"number": at, "raw_utterance": f" {text} "} for at, text in enumerate(TOWERS[0])]
    path.write_bytes(gzip.compress(json.dumps([{"number": 1, "turn": turns}]).encode()))
    assert read_talks(path) == TOWERS[:1]
    assert len(read_talks(OWN_DATA)) >= 20
    assert all(len(talk) >= 4 for talk in read_talks(OWN_DATA))


def test_each_variant_changes_one_message_and_leaves_the_last() -> None:
    before = messages(TOWERS[0], 2, "0")
    found = variants(before)
    assert len(found) == 2 * (len(before) - 1)
    for other in found:
        assert other[-1] == before[-1]
        assert other != before


def test_no_turn_is_answered_out_of_another_conversation(tmp_path: Path) -> None:
    found = asyncio.run(play(TOWERS, tmp_path, 0.6))
    assert (found["turns"], found["traps_served"], found["changed_served"]) == (6, 0, 0)
    assert (found["repeats"], found["missed"]) == (6 - found["first_served"], 0)
    assert found["changed"] > 20


def test_a_mix_up_would_show(tmp_path: Path) -> None:
    """First turns have an equal context: with a gate that lets all through they are mixed up."""
    found = asyncio.run(play([("Where is it?",), ("Where is it now?",)], tmp_path, 0.1))
    assert found["first_served"] == 1
    assert found["served"][0][1].endswith("conversation 0, turn 0.")
