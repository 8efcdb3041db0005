"""A rule is only tried where one of its cues is in the text: so every match must contain one.

Proved over the parse trees of the patterns, not over examples: a gap would let a person's own
answer, or one that changes, be kept like any other.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

from semcache.volatile import changing_rules, personal_rules

ops: Any = import_module("re._constants")  # the parse tree has no public face
parser: Any = import_module("re._parser")
_ZERO_WIDTH = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)


def contains_a_cue(items: list[Any], cues: tuple[str, ...], run: str = "") -> bool:
    """Whether every string that `items` match, after `run`, has one of the cues in it."""
    for at, (op, value) in enumerate(items):
        if op is ops.LITERAL:
            run += chr(value).lower()
        elif op is ops.SUBPATTERN:
            return contains_a_cue([*value[-1], *items[at + 1 :]], cues, run)
        elif op is ops.BRANCH:
            rest = items[at + 1 :]
            return all(contains_a_cue([*branch, *rest], cues, run) for branch in value[1])
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            least, _, inner = value
            if least and contains_a_cue([*inner], cues):
                return True
            run = f"{run} " if least and is_space(inner) else ""
        elif op not in _ZERO_WIDTH:
            run = ""
        if any(cue in run for cue in cues):
            return True
    return False


def is_space(inner: Any) -> bool:
    return [*inner] == [(ops.IN, [(ops.CATEGORY, ops.CATEGORY_SPACE)])]


def rules() -> list[Any]:
    changing = [
        pytest.param(rule.cues, rule.pattern, id=rule.reason)
        for some in (
            changing_rules._ENGLISH_MOMENTS,
            changing_rules._ENGLISH_NOWS,
            changing_rules._ENGLISH_SUBJECTS,
            changing_rules._CHINESE_MOMENTS,
        )
        for rule in some
    ]
    personal = [
        pytest.param(cues, pattern, id=reason) for reason, cues, pattern in personal_rules._ENGLISH
    ]
    return changing + personal


@pytest.mark.parametrize(("cues", "pattern"), rules())
def test_every_match_contains_a_cue(cues: tuple[str, ...], pattern: re.Pattern[str]) -> None:
    if cues == ("",):
        return  # always tried
    tree = parser.parse(pattern.pattern, pattern.flags)
    assert contains_a_cue([*tree], cues)


def test_the_proof_fails_where_a_cue_is_missing() -> None:
    tree = parser.parse(r"\b(?:roll|throw)\s+dice|\bcoin(?:s)?\b", re.IGNORECASE)
    assert contains_a_cue([*tree], ("dice", "coin"))
    assert contains_a_cue([*tree], ("roll", "throw", "coin"))
    assert not contains_a_cue([*tree], ("roll", "coin"))
    assert not contains_a_cue([*parser.parse(r"a?b|c")], ("b",))
