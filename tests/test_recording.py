"""What an observer sees: counts, times, the timeline and the last decisions, as it all happened."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from semcache.cache import SemCache
from semcache.errors import UpstreamError
from semcache.observed import Observed
from semcache.policy import PolicySettings
from semcache.prices import Price, Prices, Saved
from semcache.recent import MOST, MOST_CHARACTERS, Recent
from semcache.store import LocalStore
from semcache.timeline import MINUTES, OUTCOMES, Minute, Timeline, together, without_gaps
from tests.cache_world import HEIGHT, World, answered, ask, run
from tests.scripted import ScriptedAnswerer

NOW = 1_000_000.0


def test_all_that_happens_is_seen(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        store = LocalStore(tmp_path, clock=lambda: world.now)
        prices = Prices({"m": Price(input=0.0, output=50_000.0)})  # five tokens cost 0.25
        settings = PolicySettings(ttl_s=100, prices=prices)
        cache = SemCache(
            store=store, answerers=[world.answerer], settings=settings, clock=lambda: world.now
        )
        world.answerer.gate = asyncio.Event()
        first = asyncio.create_task(cache.ask(ask(HEIGHT, "one")))
        second = asyncio.create_task(cache.ask(ask(HEIGHT, "one")))
        replies = await asyncio.gather(first, second)
        world.answerer.gate.set()
        for reply in replies:
            await answered(reply)
        world.answerer.gate = None
        for _ in range(20):  # some are counted at once, the others when they are read
            await answered(await cache.ask(ask(HEIGHT, "one")))
        await answered(await cache.ask(ask(HEIGHT, "one", temperature=1.5)))
        world.now += 120
        world.answerer.error = UpstreamError("down", status=503)
        await answered(await cache.ask(ask(HEIGHT, "one")))
        check(cache.recording.observed(), cache)
        await cache.aclose()

    run(scenario)


def check(seen: Observed, cache: SemCache) -> None:
    counts = cache.tally.counts()
    assert counts["hit: exact"] == 20
    assert counts["coalesced"] == 1
    assert counts["saved: prompt_tokens"] == 20 * 3
    assert counts["answer failed: 503"] == 1
    assert seen.counts == counts
    assert seen.sums["saved: usd"] == 5.0
    assert seen.sums["saved: seconds"] > 0
    assert sum(seen.times["lookup: exact"].counts) == 20
    assert sum(seen.times["lookup: miss"].counts) == 2
    assert sum(seen.times["answer: scripted"].counts) == 2
    assert sum(seen.times["first token: scripted"].counts) == 2
    assert sum(seen.times["stage: store"].counts) == 1
    before, after = seen.minutes
    assert (before.at, after.at) == (1_000_000 // 60, 1_000_120 // 60)
    told = {name: before.count(name) for name in OUTCOMES}
    assert told == {"hit": 20, "semantic": 0, "stale": 0, "coalesced": 1, "miss": 1, "bypass": 1}
    assert (before.completion_tokens, before.usd) == (20 * 5, 5.0)
    assert {name for name in OUTCOMES if after.count(name)} == {"stale"}
    outcomes = [one.outcome for one in seen.recent]
    assert outcomes == ["stale", "miss", "bypass", *["hit"] * 20, "coalesced", "miss"]
    hit = seen.recent[3]
    assert (hit.tenant, hit.tier, hit.similarity, hit.answerer) == ("one", "exact", 1.0, "scripted")
    assert hit.question == HEIGHT
    assert hit.entry_id > 0
    assert hit.lookup_ms > 0
    assert seen.recent[2].reason == "temperature"


def test_questions_need_not_be_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        cache = SemCache(store=LocalStore(tmp_path), answerers=[ScriptedAnswerer()])
        await answered(await cache.ask(ask("x" * 10_000)))
        cache.recording.recent.show_questions = False
        await answered(await cache.ask(ask("x" * 10_000)))
        hit, miss = cache.recording.observed().recent
        assert miss.question == "x" * MOST_CHARACTERS
        assert hit.question == ""
        assert "xxx" not in json.dumps(cache.recording.observed().to_wire())
        await cache.aclose()

    run(scenario)


def test_everything_is_bounded() -> None:
    timeline, recent = Timeline(), Recent()
    for minute in range(3 * MINUTES):
        timeline.add(NOW + 60 * minute, "miss")
        recent.add([(NOW + minute, "t", "miss", "", "", None, 0.1, 0, "a", "q")])
    assert len(timeline.minutes()) == MINUTES
    assert len(recent.latest()) == MOST
    assert recent.latest(1)[0].at == NOW + 3 * MINUTES - 1


def test_a_clock_that_goes_back_and_gaps() -> None:
    timeline = Timeline()
    timeline.add(NOW, "hit", Saved(1, 2, 0.5, 3.0), 4)
    timeline.add(NOW - 3600, "miss")
    timeline.add(NOW + 180, "bypass")
    timeline.move(NOW + 180, "miss", "stale")
    first, last = timeline.minutes()
    assert [first.count(name) for name in ("hit", "miss", "stale")] == [4, 0, 0]
    assert [last.count(name) for name in ("bypass", "stale")] == [1, 1]
    shown = list(without_gaps(timeline.minutes(), NOW + 180, 6))
    at = int(NOW) // 60
    assert [one.at for one in shown] == list(range(at - 2, at + 4))
    assert [sum(one.counts) for one in shown] == [0, 0, 4, 0, 0, 2]
    assert together([[first], [last, Minute(at, [1, 0, 0, 0, 0, 0], 5, 5, 1.0, 1.0)]]) == (
        replace(first, counts=[5, 0, 0, 0, 0, 0], prompt_tokens=6, completion_tokens=7, usd=1.5,
                seconds=4.0),
        last,
    )  # fmt: skip


def test_processes_add_up(tmp_path: Path) -> None:
    async def observed(folder: Path, asked: int) -> Observed:
        cache = SemCache(store=LocalStore(folder), answerers=[ScriptedAnswerer()])
        for _ in range(asked):
            await answered(await cache.ask(ask()))
        seen = cache.recording.observed()
        await cache.aclose()
        return seen

    async def scenario() -> None:
        one, two = await observed(tmp_path / "a", 3), await observed(tmp_path / "b", 4)
        read = Observed.from_wire(json.loads(json.dumps(two.to_wire())))
        unasked = tuple(seen._replace(question="") for seen in two.recent)
        assert read == replace(two, recent=unasked)
        both = one.with_others([read])
        assert both.counts["hit: exact"] == 2 + 3
        assert both.counts["miss: unknown"] == 2
        assert sum(both.times["lookup: exact"].counts) == 5
        each = [seen.sums["saved: seconds"] for seen in (one, two)]
        assert abs(both.sums["saved: seconds"] - sum(each)) < 1e-12
        assert sum(minute.count("hit") for minute in both.minutes) == 5
        assert [seen.outcome for seen in both.recent].count("hit") == 5
        assert {seen.question for seen in both.recent} == {HEIGHT, ""}

    run(scenario)
