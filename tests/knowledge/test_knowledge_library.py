"""The library: only what changed is read; what is broken loses nothing; states do not change."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from semcache.errors import ConfigError, StoreError
from semcache.knowledge.encoding import vectors_of
from semcache.knowledge.library import Library
from semcache.knowledge.syncing import Step
from tests.knowledge.knowledge_world import NOW, Counted, encoder, opened, silent

HALL = "The hall is heated by a HL-20 lamp of 1,800 watts."
RETURNS = "# Returns\n\n" + " ".join(
    f"Parcel kind {at} may be sent back within {at + 10} days." for at in range(30)
)


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")


@contextmanager
def library(
    tmp_path: Path, embedder: Counted | None = None, **options: object
) -> Iterator[Library]:
    """The library of docs/ in data/."""
    one = opened(tmp_path / "data", tmp_path / "docs", embedder=embedder, **options)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        one.close()


def changed(steps: Iterator[Step]) -> set[str]:
    return {step.name for step in steps if step.changed}


def test_passages_are_found_by_meaning_and_by_words(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS, zh="# 退款\n\n退款需要在七天之内申请。")
    with library(tmp_path, Counted()) as one:
        state = one.update(silent)
        (best, *_) = state.search("How strong is the heater?", 3)
        assert best.passage.document == "hall.md"
        vectors = [
            encoded.vector for encoded in encoder().encode([HALL, "How strong is the heater?"])
        ]
        assert vectors[0] is not None
        assert vectors[1] is not None
        assert best.cosine == pytest.approx(float(vectors[0] @ vectors[1]), abs=2e-3)
        (best, *_) = state.search("Within how many days may kind 17 be sent back?", 3)
        assert "kind 17 may be sent back within 27 days" in best.passage.text
        assert best.passage.heading == "Returns"
        (best, *_) = state.search("几天之内可以申请退款？", 3)
        assert (best.passage.document, best.cosine) == ("zh.md", None)
        scores = [found.score for found in state.search("lamp of 1,800 watts", 9)]
        assert scores == sorted(scores, reverse=True)
        assert 0 < min(scores) <= max(scores) < 1
        assert len(state.search("parcel", 2)) == 2


def test_without_an_encoder_words_alone_find(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS)
    with library(tmp_path) as one:
        (best, *_) = one.update(silent).search("Which lamp heats the hall?", 3)
        assert (best.passage.document, best.cosine) == ("hall.md", None)


def test_a_state_hands_out_all_passages_and_documents_in_order(tmp_path: Path) -> None:
    write(tmp_path / "docs", b=RETURNS, a=HALL, empty=" \n")
    with library(tmp_path) as one:
        state = one.update(silent)
        assert [(d.name, d.text) for d in state.documents()] == [("a.md", HALL), ("b.md", RETURNS)]
        assert state.size_bytes == len(HALL) + len(RETURNS)
        passages = list(state.passages())
        assert len(passages) == len(state)
        assert [p.document for p in passages] == ["a.md"] + ["b.md"] * (len(state) - 1)
        kinds = [re.search(r"Parcel kind (\d+)", one.text) for one in passages[1:]]
        told = [int(kind[1]) for kind in kinds if kind is not None]
        assert told == sorted(told)
        assert len(told) > 3
        assert one.update(silent) is state


def test_only_what_changed_is_encoded_again(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS)
    counted = Counted()
    with library(tmp_path, counted) as one:
        assert changed(one.steps()) == {"hall.md", "returns.md"}
        first = one.state()
        assert len(counted.read) == len(first)
        counted.read.clear()
        assert not changed(one.steps())
        os.utime(tmp_path / "docs" / "hall.md", ns=(1, 1))
        assert one.touched()
        assert not changed(one.steps())
        assert not one.touched()
        write(tmp_path / "docs", returns=RETURNS + "\n\nA new last line about gift wrapping.")
        assert changed(one.steps()) == {"returns.md"}
        assert 0 < len(counted.read) <= 2
        (tmp_path / "docs" / "hall.md").rename(tmp_path / "docs" / "moved.md")
        counted.read.clear()
        assert changed(one.steps()) == {"moved.md"}
        assert counted.read == []
        assert {p.document for p in one.state().passages()} == {"moved.md", "returns.md"}
        assert len({first.digest, one.state().digest}) == 2


def test_a_state_stays_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS)
    with library(tmp_path, Counted()) as one:
        before = one.update(silent)
        write(tmp_path / "docs", hall="The hall has no heater any more.")
        (tmp_path / "docs" / "returns.md").unlink()
        after = one.update(silent)
        asked = "Which lamp heats the hall?"
        assert before.search(asked, 1)[0].passage.text == HALL
        assert after.search(asked, 1)[0].passage.text == "The hall has no heater any more."
        assert "kind 29" in before.search("parcel kind 29", 1)[0].passage.text
        assert {found.passage.document for found in after.search("parcel kind 29", 9)} <= {
            "hall.md"
        }
        assert (len(before) > 3, len(after)) == (True, 1)
        with pytest.raises(StoreError, match="read it again"):
            list(before.documents())


def test_what_is_gone_for_an_hour_is_forgotten(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS)
    now = [NOW]
    with library(tmp_path, Counted(), clock=lambda: now[0]) as one:
        before = one.update(silent)
        (tmp_path / "docs" / "returns.md").unlink()
        one.update(silent)
        now[0] += 3599
        list(one.steps())
        assert before.search("parcel kind 29", 1)[0].passage.document == "returns.md"
        now[0] += 2
        list(one.steps())
        found = before.search("parcel kind 29", 9)
        assert {one.passage.document for one in found} <= {"hall.md"}


def test_a_broken_document_is_named_and_its_last_good_state_stays(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, returns=RETURNS)
    (tmp_path / "docs" / "never.pdf").write_bytes(b"%PDF-1.7 no more")
    said: list[str] = []
    with library(tmp_path, Counted()) as one:
        first = one.update(said.append)
        assert [line for line in said if "never.pdf" in line]
        assert {p.document for p in first.passages()} == {"hall.md", "returns.md"}
        (tmp_path / "docs" / "hall.md").write_bytes(b"\xff\xfe\xff")
        said.clear()
        second = one.update(said.append)
        assert any("hall.md" in line for line in said)
        assert second.search("Which lamp heats the hall?", 1)[0].passage.text == HALL
        assert {k.name: bool(k.problem) for k in one.catalog.known().values()} == {
            "hall.md": True,
            "never.pdf": True,
            "returns.md": False,
        }
        write(tmp_path / "docs", hall=HALL + " It is new.")
        assert (
            "It is new."
            in one.update(silent).search("Which lamp heats the hall?", 1)[0].passage.text
        )


def test_another_cut_or_encoder_makes_all_passages_anew(tmp_path: Path) -> None:
    write(tmp_path / "docs", returns=RETURNS)
    counted = Counted()
    with library(tmp_path, counted) as one:
        coarse = len(one.update(silent))
    with library(tmp_path, counted, most=40) as one:
        fine = one.update(silent)
        assert len(fine) > coarse
        assert max(p.tokens for p in fine.passages()) <= 40
    other = Counted()
    other.fingerprint = "another"
    with library(tmp_path, other, most=40) as one:
        again = one.update(silent)
        assert (len(again), len(other.read)) == (len(fine), len(fine))
        assert again.search("parcel", 1)[0].cosine is not None


def test_documents_from_elsewhere_are_added_and_left_out(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL, old="An old rule about bicycles.")
    write(tmp_path / "other", hall="Another hall altogether.", lease="The lease ends in May.")
    with library(tmp_path) as one:

        def names() -> set[str]:
            list(one.steps())
            return {document.name for document in one.state().documents()}

        one.add(tmp_path / "other")
        one.add(tmp_path / "other" / "lease.md")
        assert names() == {"hall.md", "old.md", "other/hall.md", "other/lease.md"}
        one.remove(Path("old.md"))
        one.remove(tmp_path / "other")
        assert names() == {"hall.md", "lease.md"}
        one.add(tmp_path / "docs" / "old.md")
        assert "old.md" in names()
        for wrong in (tmp_path / "nowhere.md", tmp_path / "data" / "knowledge.db"):
            with pytest.raises(ConfigError):
                one.add(wrong)
        with pytest.raises(ConfigError, match="No document is"):
            one.remove(Path("nothing.md"))
        (tmp_path / "other" / "lease.md").unlink()
        with pytest.raises(ConfigError, match="is not there"):
            names()


def test_an_empty_or_missing_folder_is_said(tmp_path: Path) -> None:
    with library(tmp_path) as one, pytest.raises(ConfigError, match="does not exist"):
        one.update(silent)
    write(tmp_path / "docs", hall=HALL)
    with library(tmp_path) as one:
        one.update(silent)
        (tmp_path / "docs" / "hall.md").unlink()
        for _ in range(2):
            with pytest.raises(ConfigError, match="There is no document"):
                one.update(silent)


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL)
    with library(tmp_path) as one:
        one.update(silent)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert set(modes.values()) == {0o600}
    assert "knowledge.db" in modes


def test_a_text_beyond_the_encoders_window_has_the_mean_of_its_parts(tmp_path: Path) -> None:
    long = " ".join(f"The lamp number {at} heats the hall." for at in range(100))
    assert encoder().encode([long])[0].truncated
    vector, chinese = vectors_of([long, "退款需要在七天之内申请。"], encoder())
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    short = encoder().encode(["Lamps heat the hall."])[0].vector
    assert short is not None
    assert float(vector @ short) > 0.6
    assert chinese is None


def test_many_threads_make_the_vectors_of_one(tmp_path: Path) -> None:
    texts = [f"Rule {at} is about {'lamps and doors ' * at}." for at in range(25)]
    one, four = vectors_of(texts, encoder()), vectors_of(texts, encoder(), 4)
    for mine, theirs in zip(one, four, strict=True):
        assert mine is not None
        assert theirs is not None
        assert np.allclose(mine, theirs, atol=1e-5)


def test_many_files_are_looked_at_less_often(tmp_path: Path) -> None:
    write(tmp_path / "docs", hall=HALL)
    ticks = [NOW]

    def slow() -> float:
        ticks[0] += 1.0  # between any two looks at the clock
        return ticks[0]

    with closing(opened(tmp_path / "data", tmp_path / "docs", clock=slow)) as one:
        one.update(silent)
        assert not one.touched()
        write(tmp_path / "docs", hall=HALL + "It is closed.")
        assert not one.touched()
        ticks[0] += 60.0
        assert one.touched()
