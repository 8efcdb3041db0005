"""The memory tier's bound and order, against a plain model of it."""

from __future__ import annotations

import random

from semcache.chat import text_request
from semcache.completion import text_completion_of
from semcache.interfaces import Entry
from semcache.keys import request_key
from semcache.memory import Memory, Remembered
from semcache.render import Rendered

COMPLETION = text_completion_of("a", id="chatcmpl-1", created=1, model="m")


def item(name: str, size: int = 10) -> Remembered:
    scope = request_key(text_request(name, tenant="t", model="m")).scope
    entry = Entry(name, scope, name, COMPLETION, created_at=0.0)
    return Remembered(entry, Rendered(COMPLETION), version=0, size=size)


def test_the_least_recently_used_goes_first() -> None:
    memory = Memory(30)
    for name in "abc":
        memory.put(item(name))
    assert memory.get("a") is not None
    memory.put(item("d"))
    assert [name for name in "abcd" if memory.get(name)] == ["a", "c", "d"]


def test_an_item_beyond_the_bound_is_not_kept_and_replaces_nothing_else() -> None:
    memory = Memory(30)
    memory.put(item("a"))
    memory.put(item("b", 31))
    assert memory.get("b") is None
    assert memory.get("a") is not None
    memory.put(item("a", 31))
    assert memory.get("a") is None


def test_random_use_agrees_with_a_model() -> None:
    rng = random.Random(7)
    memory, model = Memory(100), list[tuple[str, int]]()
    for _ in range(3000):
        name, size = rng.choice("abcdefghij"), rng.randint(1, 40)
        act = rng.choice(["put", "get", "get", "forget"])
        if act == "put":
            memory.put(item(name, size))
            model = [*[kept for kept in model if kept[0] != name], (name, size)]
            while sum(size for _, size in model) > 100:
                model.pop(0)
        elif act == "forget":
            memory.forget(name)
            model = [kept for kept in model if kept[0] != name]
        else:
            found = memory.get(name)
            held = [kept for kept in model if kept[0] == name]
            assert (found is not None) == bool(held)
            model = [kept for kept in model if kept[0] != name] + held
        assert len(memory) == len(model)
    memory.clear()
    assert len(memory) == 0


def test_what_was_read_before_a_withdrawal_is_not_remembered() -> None:
    memory = Memory(30)
    before = memory.withdrawals
    memory.put(item("a"), before)
    memory.withdraw("a")
    memory.put(item("a"), before)
    memory.put(item("b"), before)
    assert (memory.get("a"), memory.get("b")) == (None, None)
    memory.put(item("a"), memory.withdrawals)
    assert memory.get("a") is not None
    before = memory.withdrawals
    memory.clear()
    memory.put(item("a"), before)
    assert memory.get("a") is None
