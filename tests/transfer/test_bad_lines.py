"""Lines with anything in any place: refused with a reason, or stored as what can be served."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import orjson

from semcache.errors import RequestError
from semcache.journal import Journal
from semcache.policy import PolicySettings
from semcache.render_response import rendered
from semcache.store import LocalStore
from semcache.transfer.asked import Asker, asked_of
from semcache.transfer.bulk import Bulk
from semcache.transfer.header import Header
from semcache.transfer.importing import Importing
from semcache.transfer.lines import line_of
from semcache.transfer.litellm_dump import foreign_of
from semcache.transfer.placing import Placing
from semcache.usage import UsageMode
from semcache.whole import Alias, Whole
from tests.store.samples import EMBEDDER, entry, scope, unit

ROUNDS = 600
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**60,
    1e300,
    "",
    "x",
    "\x00",
    "stop",
    [],
    {},
    [None],
    [{}],
    {"a": 1},
)
ROW = unit(np.random.default_rng(1), 1)[0]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID = {"type": "output_text", "text": "hi", "annotations": []}
ITEMS = [
    {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [SAID]},
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "x"}]},
    {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}"},
]
HEAD = {"id": "i", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
CHOICE = {"index": 0, "finish_reason": "stop", "logprobs": {"content": [{"token": "a"}]}}
ANSWERS: tuple[dict[str, Any], ...] = (
    {**HEAD, "choices": [{**CHOICE, "message": {"role": "assistant", "content": "a"}}]},
    {**HEAD, "choices": [{**CHOICE, "message": {"content": None, "tool_calls": [CALL]}}]},
    {**HEAD, "object": "text_completion", "choices": [{**CHOICE, "text": "abc"}]},
    {**HEAD, "object": "response", "status": "completed", "output": ITEMS},
    {**HEAD, "object": "list", "data": [{"index": 0, "embedding": [0.1], "object": "embedding"}]},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, one in inner:
        yield (*path, name)
        if isinstance(one, dict | list):
            yield from places(one, (*path, name))


def spoilt(said: Any, rng: random.Random) -> Any:
    """The same with one or two places changed or gone."""
    said = orjson.loads(orjson.dumps(said))
    for _ in range(rng.choice((1, 1, 2))):
        *path, last = rng.choice(list(places(said)))
        inside = said
        for name in path:
            inside = inside[name]
        if rng.random() < 0.2 and isinstance(inside, dict):
            del inside[last]
        else:
            inside[last] = orjson.loads(orjson.dumps(rng.choice(JUNK)))
    return said


def test_what_is_imported_can_be_served(tmp_path: Path) -> None:
    rng, journal = random.Random(7), Journal()
    whole = Whole(entry("k", scope(tenant="t")), ROW, None, (Alias("b", EMBEDDER, ROW),), ("c",))
    line = orjson.loads(line_of(whole, vectors=True))
    with LocalStore(tmp_path, synchronous="NORMAL") as store:
        bulk = Bulk(store, store.archive, None, PolicySettings())
        work = Importing(bulk, Placing("b" * 32), "x", journal)
        work.add(1, Header("x", None).line())
        for number in range(2, ROUNDS):
            good = {**line, "key": f"key {number}", "completion": rng.choice(ANSWERS)}
            work.add(number, orjson.dumps(spoilt(good, rng)))
        report = work.finish()
        assert report.stored > ROUNDS // 10
        assert report.skipped > ROUNDS // 3
        assert store.check().clean
        for found in store.scan():
            answer = found.completion
            for usage in get_args(UsageMode):
                shown = rendered(answer, usage)
                assert orjson.loads(shown.body(1))
                assert answer.is_embeddings or shown.events(1, include_usage=True)
    journal.close()


def test_what_is_asked_or_foreign_is_read_or_refused() -> None:
    rng = random.Random(8)
    message = {"role": "user", "content": [{"type": "text", "text": "Why?"}]}
    log = {"request": {"model": "m", "messages": [message]}, "response": ANSWERS[0]}
    value = {"timestamp": 1.5, "response": orjson.dumps(ANSWERS[0]).decode()}
    dump = {"prompt": "Why?", "response": value, "payload": {"text": "Why?", "response": value}}
    refused = 0
    for number in range(ROUNDS):
        try:
            asked_of(number, orjson.dumps(spoilt(log, rng)), Asker("t", "m", "Be brief."))
        except RequestError:
            refused += 1
        try:
            foreign_of(number, orjson.dumps(spoilt(dump, rng)), None, 1.0)
        except RequestError:
            refused += 1
    assert ROUNDS // 2 < refused < 2 * ROUNDS
