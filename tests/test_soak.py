"""The soak notices what it is for: a wrong answer, a leak between tenants, leftovers."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import httpx2

from benchmarks.soak.__main__ import figures
from benchmarks.soak.census import Census, Sample
from benchmarks.soak.clients import Caller, Report, _of_stream, _of_whole
from benchmarks.soak.questions import answer_to, is_about, serial_of, thing

QUIET = Sample(at_s=0, rss_mb=200, handles=40, threads=18, tasks=3, in_flight=0, entries=9)


def test_each_wording_has_the_answer_of_its_thing_alone() -> None:
    chance = random.Random(1)
    one, other = thing(chance, 1), thing(chance, 2)
    for wording in range(3):
        told = answer_to(one.asked(wording), 17)
        assert is_about(told, one)
        assert serial_of(told) == 17
        assert not is_about(told, other)
        assert not is_about(told[:-5], one)


def test_a_wrong_answer_and_another_tenants_are_noticed() -> None:
    chance, report = random.Random(1), Report()
    one, other = thing(chance, 1), thing(chance, 2)

    async def checked() -> None:
        async with httpx2.AsyncClient(verify=False) as http:
            caller = Caller(http, ["a", "b"], 1, report, [one])
            caller._check(answer_to(one.asked(0), 1), one, "a")
            caller._check(answer_to(one.asked(1), 1), one, "a")
            assert not report.wrong
            caller._check(answer_to(one.asked(0), 1), one, "b")
            caller._check(answer_to(other.asked(0), 2), one, "b")
            caller._check(str(_of_whole(200, b'{"choices": []}')), one, "b")

    asyncio.run(checked())
    assert ["two tenants" in line for line in report.wrong] == [True, False, False]


def test_only_a_stream_with_its_end_holds_an_answer() -> None:
    piece = 'data: {"choices": [{"delta": {"content": "hello"}}]}'
    assert _of_stream([piece, "", piece, "data: [DONE]"]) == "hellohello"
    assert _of_stream([piece, "", piece]) is None
    assert _of_stream([piece, 'data: {"error": {}}', "data: [DONE]"]) is None
    assert _of_whole(503, b"") is None


def test_what_is_left_over_is_named() -> None:
    async def left(after: Sample) -> object:
        async with httpx2.AsyncClient(verify=False) as http:
            census = Census(1, http, "key", [QUIET, after])
            return figures(Report(), census, QUIET, after, 60.0, 64)["left over"]

    for after, found in (
        (QUIET, {}),
        (replace(QUIET, threads=19, handles=43), {}),
        (replace(QUIET, tasks=4), {"tasks": (3, 4)}),
        (replace(QUIET, handles=41), {"handles": (40, 41)}),
    ):
        assert asyncio.run(left(after)) == found
