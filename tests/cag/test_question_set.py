"""The question set: enough, deterministic, and every answer stands in its document alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cag.question_set import KINDS, Asked, main, make

MADE = make()


def test_there_are_enough_documents_of_every_kind() -> None:
    assert len(MADE.documents) == len({one.name for one in MADE.documents}) >= 200
    assert {one.kind for one in MADE.documents} == {kind.name for kind in KINDS}
    assert len(KINDS) >= 10
    assert len(MADE.questions) > 4 * len(MADE.documents)


def test_the_seed_decides() -> None:
    assert make() == MADE
    assert make(seed=42) != MADE


def test_every_answer_stands_in_its_document() -> None:
    texts = {one.name: one.text for one in MADE.documents}
    for asked in MADE.questions:
        assert asked.is_right(texts[asked.document]), asked


def test_no_document_tells_of_what_another_one_is_about() -> None:
    """So a question, which names its document's subject, has one document."""
    keys = {one.name: one.name[4:].rsplit(".", 1)[0].replace("-", " ") for one in MADE.documents}
    for name, key in keys.items():
        telling = [one.name for one in MADE.documents if key in one.text.lower().replace("'", " ")]
        assert telling == [name] or "council" in key, (key, telling)


def test_a_question_names_the_subject_of_its_document() -> None:
    for asked in MADE.questions:
        words = asked.document[4:].rsplit(".", 1)[0].split("-")
        assert any(word in asked.question.lower() for word in words), asked


@pytest.mark.parametrize(
    ("answer", "right"),
    [("It took 41 hours.", True), ("141 hours", False), ("4", False), ("41,000", False)],
)
def test_a_number_is_said_whole(answer: str, right: bool) -> None:
    assert Asked("How long?", "a.txt", (("41",),)).is_right(answer) is right


def test_a_sample_is_spread_over_the_documents() -> None:
    sample = MADE.sample(240)
    assert len({one.document for one in sample}) == 240
    assert sample == MADE.sample(240)
    assert len(MADE.sample(10**6)) == len(MADE.questions)


def test_the_folder_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path), "--documents", "13"])
    assert len(list((tmp_path / "documents").iterdir())) == 13
    lines = (tmp_path / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    assert f"{len(lines)} questions" in capsys.readouterr().out
