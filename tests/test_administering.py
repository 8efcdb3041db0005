"""Tending entries: of any store, and of a directory that several processes share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from semcache.administering import SAMPLE, Administration
from semcache.cache import SemCache
from semcache.chat import text_request
from semcache.errors import RequestError, UnknownAnswer
from semcache.interfaces import Store
from semcache.selection import Selection
from semcache.store import LocalStore
from tests.cache_world import answered, run
from tests.gptcache.memory_store import MemoryStore
from tests.scripted import ScriptedAnswerer

Make = Callable[[Path], Store]


def local(folder: Path) -> Store:
    return LocalStore(folder)


def memory(folder: Path) -> Store:
    return MemoryStore()


async def fill(cache: SemCache, count: int) -> None:
    for at in range(count):
        request = text_request(f"Question {at}?", tenant="ab"[at % 2], model="m")
        await answered(await cache.ask(request))


@pytest.mark.parametrize("make", [local, memory])
def test_on_any_store(tmp_path: Path, make: Make) -> None:
    async def test() -> None:
        cache = SemCache(store=make(tmp_path), answerers=[ScriptedAnswerer()])
        await fill(cache, 7)
        tend = Administration(cache.layers)
        every = Selection(cache.layers.clock())
        page = tend.entries(every, None, 3)
        assert [one["question"] for one in page["data"]] == [
            "Question 6?",
            "Question 5?",
            "Question 4?",
        ]
        rest = tend.entries(every, page["next"], 4)
        assert (len(rest["data"]), rest["has_more"], rest["next"]) == (4, False, None)
        first = rest["data"][-1]
        plan = cache.plan(text_request("Question 0?", tenant="a", model="m"))
        reply = cache.peek(plan)
        assert reply is not None
        assert tend.quarantine(first["id"])["condition"] == "quarantined"
        assert cache.peek(plan) is None
        assert tend.release(first["id"])["condition"] == "fresh"
        mine = replace(every, tenant="a")
        would = tend.invalidate(mine, dry_run=True)
        assert (would["count"], len(would["sample"])) == (4, 4)
        assert tend.invalidate(mine, ids=[first["id"]], dry_run=False)["count"] == 1
        assert tend.invalidate(mine, dry_run=False)["count"] == 3
        assert {one["tenant"] for one in tend.entries(every, None, 99)["data"]} == {"b"}
        for act in (tend.entry, tend.delete, tend.quarantine, tend.release):
            with pytest.raises(UnknownAnswer):
                act(first["id"])
        with pytest.raises(RequestError, match="no encoder"):
            tend.nearest("Question 1?", 3, None)
        await cache.aclose()

    run(test)


def test_what_goes_is_served_by_no_other_process(tmp_path: Path) -> None:
    async def test() -> None:
        here = SemCache(store=LocalStore(tmp_path), answerers=[ScriptedAnswerer()])
        there = SemCache(store=LocalStore(tmp_path), answerers=[ScriptedAnswerer()])
        await fill(here, 3)
        plans = [
            there.plan(text_request(f"Question {at}?", tenant="ab"[at % 2], model="m"))
            for at in range(3)
        ]
        for plan in plans:
            there.reply(plan, there.look(plan)).close()
        assert all(there.peek(plan) is not None for plan in plans)
        tend = Administration(here.layers)
        by_key = {one["key"]: one["id"] for one in tend.entries(Selection(0.0), None, 9)["data"]}
        tend.delete(by_key[plans[0].key.exact])
        tend.quarantine(by_key[plans[1].key.exact])
        tend.invalidate(Selection(0.0), keys=[plans[2].key.exact[:32]], dry_run=False)
        for plan in plans:
            assert there.peek(plan) is None
            assert there.look(plan).rendered is None
        await here.aclose()
        await there.aclose()

    run(test)


def test_a_large_invalidation_shows_a_sample(tmp_path: Path) -> None:
    async def test() -> None:
        cache = SemCache(store=LocalStore(tmp_path), answerers=[ScriptedAnswerer()])
        await fill(cache, SAMPLE + 5)
        done = Administration(cache.layers).invalidate(Selection(0.0), dry_run=False)
        assert (done["count"], len(done["sample"])) == (SAMPLE + 5, SAMPLE)
        assert cache.layers.store.stats().entries == 0
        await cache.aclose()

    run(test)
