"""Labelled pairs are read in every form, and a bad row is named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from semcache.calibrate.records import Record, read_records
from semcache.errors import ConfigError


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


FORMS = {
    "ours.jsonl": (
        '{"a": "x", "b": "y", "same_answer": true, "at": 5}\n\n'
        '{"a": "x", "b": "z", "same_answer": false, "at": "1970-01-01T00:00:06+00:00"}\n'
    ),
    "ours.jsonl.gz": (
        '{"a": "x", "b": "y", "same_answer": 1, "time": 5}\n'
        '{"a": "x", "b": "z", "same_answer": 0, "timestamp": "6"}\n'
    ),
    "qqp.json": json.dumps(
        [
            {"text_a": "x", "text_b": "y", "label": 1, "at": 5},
            {"text_a": "x", "text_b": "z", "label": "0", "at": 6},
        ]
    ),
    "qqp.tsv": "text_a\ttext_b\tlabel\tat\nx\ty\t1\t5\nx\tz\t0\t6\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form(tmp_path: Path, name: str) -> None:
    assert read_records(written(tmp_path, name, FORMS[name])) == [
        Record(False, "y", "x", at=5.0),
        Record(True, "z", "x", at=6.0),
    ]


def test_gptcaches_mock_data_is_all_right(tmp_path: Path) -> None:
    path = written(tmp_path, "mock.json", '[{"origin": "x", "similar": "y", "id": 3}]')
    assert read_records(path) == [Record(False, "y", "x")]


def test_a_log(tmp_path: Path) -> None:
    path = written(tmp_path, "l.jsonl", '{"score": 0.5, "wrong": true, "weight": 4, "at": 1}')
    assert read_records(path) == [Record(True, score=0.5, weight=4.0, at=1.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no labels"),
        ("not json", "neither JSON"),
        ('{"a": "x"}', "row 1: expected"),
        ('{"a": "x", "b": "y", "same_answer": "perhaps"}', "true or false"),
        ('{"a": "x", "b": "", "same_answer": 1}', "must be texts"),
        ('{"a": 3, "b": "y", "same_answer": 1}', "must be texts"),
        ('{"a": "x", "b": "y", "same_answer": 1, "at": "soon"}', "ISO 8601"),
        ('{"a": "x", "b": "y", "same_answer": 1, "weight": 0.5}', "at least 1"),
        ('{"score": 2, "wrong": 1}', "0..1"),
        ('{"score": "high", "wrong": 1}', "must be a number"),
        ('{"score": 0.1, "wrong": 1}\n{"a": "x", "b": "y", "same_answer": 1}', "one by one"),
        ("[1]", "an object"),
    ],
)
def test_a_bad_file_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_records(written(tmp_path, "bad.jsonl", text))


def test_a_file_that_is_not_there_or_not_packed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read"):
        read_records(tmp_path / "none.jsonl")
    (tmp_path / "x.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigError):
        read_records(tmp_path / "x.jsonl.gz")
