"""What a name that a passage does not have says, by how many others have it."""

from __future__ import annotations

import pytest

from semcache.knowledge.lexical import Term
from semcache.knowledge.ranking import features, names_in, rarity, score

QUESTION = "How long is the guarantee on the HL-20?"
TERMS = [
    Term("words", "hl", 4, 0.7),
    Term("words", "20", 6, 0.3),
    Term("words", "guarante", 1, 1.8),
]
PASSAGE = "The guarantee is 3 years on lamps."


def test_a_name_is_as_rare_as_the_rarest_of_its_terms() -> None:
    names = names_in(QUESTION)
    assert names == {"hl-20"}
    assert rarity(names, TERMS, 8) == {"hl-20": 0.5}
    assert rarity(names, TERMS, 4_000) == {"hl-20": pytest.approx(0.999)}


def test_a_name_that_nothing_is_known_of_is_rare() -> None:
    assert rarity({"zx-9"}, TERMS, 8) == {"zx-9": 1.0}
    assert rarity({"hl-20"}, TERMS, 0) == {"hl-20": 1.0}


def test_a_common_name_is_missed_less() -> None:
    common = features(0.48, 1.8, TERMS, {"hl-20": 0.5}, PASSAGE)
    rare = features(0.48, 1.8, TERMS, {"hl-20": 1.0}, PASSAGE)
    assert (common.missing, rare.missing) == (0.5, 1.0)
    assert score(common) > score(rare)
    assert features(0.48, 1.8, TERMS, {"hl-20": 1.0}, f"HL-20. {PASSAGE}").missing == 0.0
