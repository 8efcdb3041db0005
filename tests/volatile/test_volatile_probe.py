"""The probe: its arithmetic, its ties to the encoder, and what it hears in questions of tests."""

from __future__ import annotations

import json
import math
from importlib.resources import files

import numpy as np
import pytest

from semcache.embedding import SentenceEncoder
from semcache.interfaces import Vector
from semcache.volatile import Probe, classify, packaged_probe

VALUES = {"weights": [2.0, -1.0], "bias": 0.5, "threshold": 0.5, "encoders": ["e"]}


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.open()


def vector_of(encoder: SentenceEncoder, text: str) -> Vector:
    vector = encoder.encode([text])[0].vector
    assert vector is not None
    return vector


def test_the_probability_is_the_logistic_function() -> None:
    probe = Probe.from_mapping(VALUES)
    vector = np.array([0.6, 0.8], dtype=np.float32)
    expected = 1 / (1 + math.exp(-(2 * 0.6 - 0.8 + 0.5)))
    assert probe.probability(vector) == pytest.approx(expected, abs=1e-6)


def test_huge_weights_give_a_probability_all_the_same() -> None:
    probe = Probe.from_mapping({**VALUES, "weights": [1e9, 0.0]})
    vector = np.array([1.0, 0.0], dtype=np.float32)
    assert probe.probability(vector) == pytest.approx(1.0)
    assert 0.0 < probe.probability(-vector) < 1e-20


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "x"},
        {"weights": [[1.0]]},
        {"weights": [float("nan")]},
        {"bias": None},
        {"threshold": 1.5},
        {"encoders": 3},
    ],
)
def test_what_is_no_probe_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Probe.from_mapping({**VALUES, **change})


def test_a_missing_member_is_refused() -> None:
    with pytest.raises(ValueError, match="bias"):
        Probe.from_mapping({name: value for name, value in VALUES.items() if name != "bias"})


def test_the_packaged_probe_is_for_the_packaged_encoder_and_no_other(
    encoder: SentenceEncoder,
) -> None:
    probe = packaged_probe(encoder.fingerprint)
    assert probe is not None
    assert probe.weights.shape == (encoder.dim,)
    assert packaged_probe("another encoder") is None


def test_the_packaged_weights_say_what_they_reached_and_from_what() -> None:
    text = files("semcache.volatile").joinpath("weights.json").read_text(encoding="utf-8")
    values = json.loads(text)
    assert len(text) < 10_000
    assert values["report"]["held_out_data"]["auc"] >= 0.90
    assert values["licences"]


@pytest.mark.parametrize(
    "text",
    [
        "which country has the largest army",
        "how many wives does the sultan have",
        "what are the fastest selling cars",
    ],
)
def test_the_probe_hears_change_where_the_rules_are_silent(
    text: str, encoder: SentenceEncoder
) -> None:
    assert classify(text).kind == "lasting"
    found = classify(text, vector_of(encoder, text), packaged_probe(encoder.fingerprint))
    assert (found.kind, found.reason) == ("volatile", "probe")
    assert found.p > 0.5


@pytest.mark.parametrize(
    "text",
    [
        "how do i reset my password",
        "who wrote war and peace",
        "what is the freezing point of water",
        "How do I reverse a string in Java?",
    ],
)
def test_the_probe_leaves_what_lasts(text: str, encoder: SentenceEncoder) -> None:
    found = classify(text, vector_of(encoder, text), packaged_probe(encoder.fingerprint))
    assert (found.kind, found.reason) == ("lasting", "probe")
    assert found.p < 0.5


def test_a_rule_overrules_the_probe(encoder: SentenceEncoder) -> None:
    text = "Where is my order?"
    found = classify(text, vector_of(encoder, text), packaged_probe(encoder.fingerprint))
    assert found.kind == "personal"


def test_without_a_probe_only_the_rules_speak(encoder: SentenceEncoder) -> None:
    text = "which country has the largest army"
    assert classify(text, vector_of(encoder, text), None).kind == "lasting"
