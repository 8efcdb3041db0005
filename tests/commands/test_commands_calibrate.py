"""`semcache calibrate` with the real encoder, guards and verifier."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from semcache import cli
from semcache.calibrate.records import Record
from semcache.calibrate.scoring import COSINE, VERIFIER, score_all
from semcache.config import Config, default_config
from semcache.embedding import SentenceEncoder
from semcache.verify.verifier import PairVerifier

DATA = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "data"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = []
    for kind in ("pairs", "traps"):
        with (DATA / f"{kind}.banking.tsv").open(encoding="utf-8", newline="") as file:
            for a, b, *_ in list(csv.reader(file, delimiter="\t"))[
                1 : 101 if kind == "pairs" else 9
            ]:
                lines.append(json.dumps({"a": a, "b": b, "same_answer": kind == "pairs"}))
    path.write_text("\n".join(lines))
    return path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return int(left.value.code or 0)


def test_a_certificate_and_the_lines_that_put_it_in_force(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "curve.png"
    command = ["calibrate", str(pairs), "--max-wrong", "0.4", "--plot", str(picture)]
    assert run(*command, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certificate"]["state"] == "certified"
    assert told["certificate"]["upper_bound"] <= 0.4
    half = len(pairs.read_text().splitlines()) // 2
    assert told["labels"] == {"choosing": half, "certifying": half}
    assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    Config.from_mapping(told["configuration"])
    assert run(*command) == 0
    text = capsys.readouterr().out
    written = text.split("in cache_config.yaml:\n")[1]
    assert yaml.safe_load(written) == told["configuration"]


def test_too_few_labels(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("calibrate", str(pairs), "--max-wrong", "0.001") == 1
    said = capsys.readouterr().out
    assert "not certified" in said
    assert "more labels are missing" in said


def test_a_log_needs_no_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log.jsonl"
    rows = [{"score": 0.9 if at % 4 else 0.2, "wrong": at % 4 == 0, "at": at} for at in range(900)]
    path.write_text("\n".join(map(json.dumps, rows)))
    arguments = ["--max-wrong", "0.05", "--per", "request", "--confidence", "0.95", "--json"]
    assert run("calibrate", str(path), *arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["halves"] == "by time"
    assert 0.2 < told["threshold"] <= 0.9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-wrong", "2"], "max_wrong_rate"),
        (["--max-wrong", "0.1", "--confidence", "0.2"], "confidence"),
    ],
)
def test_bad_terms(
    pairs: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run("calibrate", str(pairs), *arguments) == 2
    assert said in capsys.readouterr().err


def test_without_matplotlib_it_says_which_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"score": 0.5, "wrong": false}\n' * 4)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("calibrate", str(path), "--max-wrong", "0.1", "--plot", str(tmp_path / "p.png")) == 2
    assert "semcache-proxy[bench]" in capsys.readouterr().err


def test_pairs_are_scored_as_the_installation_scores_them() -> None:
    encoder, verifier = SentenceEncoder.open(sketches=True), PairVerifier.open()
    stored = "How do I reset the password of my work laptop?"
    asked = ["How can I reset my work laptop's password?", stored.replace("laptop", "phone"),
             "How do I bake bread?", "申请退款"]  # fmt: skip
    records = [Record(False, text, stored) for text in asked]
    settings = default_config().policy_settings()
    scores = score_all(records, settings, encoder, verifier)
    one, other = (encoder.encode([text])[0].vector for text in (stored, asked[0]))
    assert one is not None
    assert other is not None
    assert scores[COSINE][0] == pytest.approx(float(one @ other), abs=1e-6)
    assert scores[VERIFIER][0] > 0.5
    for at in (1, 2, 3):  # a guard, the gate, unknown tokens
        assert (scores[COSINE][at], scores[VERIFIER][at]) == (0.0, 0.0)
    assert set(score_all(records, settings, encoder, None)) == {COSINE}
    encoder.close()
