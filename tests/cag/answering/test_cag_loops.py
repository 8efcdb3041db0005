"""What is a loop, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.cag.answering.loops import is_loop


@pytest.mark.parametrize(
    ("tokens", "loops"),
    [
        ([], False),
        ([7], False),
        ([7] * 24, False),
        ([7] * 25, True),
        ([1, 2, 3] * 8, False),
        ([1, 2, 3] * 9, True),
        ([9, 9, *range(30), *range(30)], True),
        ([*range(30), *range(29)], False),
        ([*range(20), *range(20)], False),
        ([*range(20), *range(20), *range(4)], True),
        ([*range(100), *range(100)], False),
        ([*range(30), 99, *range(30)], False),
    ],
)
def test_is_loop(tokens: list[int], loops: bool) -> None:
    assert is_loop(tokens) is loops


@given(st.lists(st.integers(0, 3), max_size=80))
def test_it_agrees_with_the_definition(tokens: list[int]) -> None:
    def ends_in(period: int) -> bool:
        again = max(period, 24)
        tail = tokens[len(tokens) - period - again :]
        whole = len(tokens) >= period + again
        return whole and tail[period:] == tail[: len(tail) - period]

    assert is_loop(tokens) is any(ends_in(period) for period in range(1, 97))
