"""The product's path through a small stream: it starts with nothing, and serves later."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality.intents import answer_numbers, own_requests
from benchmarks.quality.judged import Bound, Told, all_forms, form, play_judged
from benchmarks.quality.streams import as_told
from semcache.embedding import SentenceEncoder
from semcache.verify.audit import compare


@pytest.fixture(scope="module")
def told() -> Told:
    rows = [row for row in own_requests() if row[1] != "oos"]
    names = sorted({intent for _, intent in rows})[:20]
    rows = [row for row in rows if row[1] in names]
    rows = [rows[at] for at in np.random.default_rng(1).permutation(len(rows)).tolist()]
    rows.append(rows[0])  # an exact repeat
    encoder = SentenceEncoder.open(sketches=True)
    texts = sorted({text for text, _ in rows})
    encoded = dict(zip(texts, encoder.encode(texts), strict=True))
    made = as_told(rows, encoded, encoder)
    encoder.close()
    return made


def test_a_stream_ends_with_a_certificate_and_hits(told: Told) -> None:
    trace, certificates = play_judged(told, Bound(0.1, "request", 0.5), seed=1)
    assert certificates[0].startswith("packaged; ")
    assert certificates[-1].startswith("certified; ")
    assert trace.served[-1]
    assert not trace.wrong[-1]
    assert trace.served.mean() > 0.2
    assert trace.wrong.mean() <= 0.1
    assert not (trace.wrong & ~trace.served).any()
    assert not (trace.audited & ~trace.served).any()
    assert trace.audited.any()


def test_the_same_seed_gives_the_same_run(told: Told) -> None:
    bound = Bound(0.1, "hit", 0.5, "learned", 3)
    runs = [play_judged(told, bound, seed=2) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    assert (runs[0][0].served == runs[1][0].served).all()


def test_answers_are_told_apart_as_the_product_does(told: Told) -> None:
    one, other = (int(answer) for answer in np.unique(told.answers)[:2])
    for at in range(3):
        text = form(one, at)
        likeness = float(told.said[form(one, 0)] @ told.said[text])
        assert compare("", form(one, 0), text, likeness).same is not False
        unlike = form(other, at)
        likeness = float(told.said[form(one, 0)] @ told.said[unlike])
        assert compare("", form(one, 0), unlike, likeness).same is False
    assert len(all_forms(told.answers)) == 3 * len(np.unique(told.answers))
    assert len(set(answer_numbers(["a", "b", "a"]))) == 2
