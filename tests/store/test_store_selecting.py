"""What an operator means, against the predicate over all entries; holdings against a count."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from semcache.interfaces import Entry
from semcache.selection import Holding, Selection, condition_of
from semcache.store import LocalStore
from tests.store.samples import DIM, EMBEDDER, START, answer, entry, scope, unit

NOW = START + 100.0
COUNT = 450  # more than two pages


def various(at: int) -> Entry:
    where = replace(scope(tenant=f"t{at % 3}"), model=("m", "gpt-x")[at % 2])
    changes = {
        "question": None if at % 11 == 0 else f"Wie groß ist 100% von {at}_?",
        "completion": answer(f'Die "Antwort" {at}:\n\tÄPFEL \\ GRÖSSE \x07'),
        "created_at": START + at / 10,
        "expires_at": None if at % 2 else START + at,
        "detail": {"namespace": "crew"} if at % 7 == 0 else {},
    }
    return entry(f"{at:064x}", where, **changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    made = LocalStore(
        tmp_path_factory.mktemp("store"), dim=DIM, embedder=EMBEDDER, synchronous="NORMAL"
    )
    vectors = unit(np.random.default_rng(0), COUNT)
    for at in range(COUNT):
        put = made.put(various(at), vectors[at])
        if at % 13 == 0:
            made.quarantine(put.id)
    return made


@pytest.fixture(scope="module", autouse=True)
def closed(store: LocalStore) -> object:
    yield
    store.close()


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"tenant": "t1"},
        {"tenant": "nobody"},
        {"model": "gpt-x", "tenant": "t2"},
        {"answerer": "engine"},
        {"answerer": "else"},
        {"condition": "fresh"},
        {"condition": "stale"},
        {"condition": "quarantined", "model": "m"},
        {"namespace": "crew"},
        {"question": "Wie groß ist 100% von 20_?"},
        {"contains": "GROSS IST"},
        {"contains": "100%"},
        {"contains": "äpfel"},
        {"contains": 'antwort" 4'},
        {"contains": "\n\tä"},
        {"contains": "\\ größe \x07"},
        {"contains": "\x00"},
        {"contains": "_?"},
        {"contains": "content"},
        {"created_before": START + 3.05},
        {"key": f"{17:064x}"},
        {"key": f"{17:064x}"[:32]},
        {"key": f"{17:064x}"[:63]},
        {"key": "f" * 32},
        {"tenant": "t0", "condition": "stale", "contains": "1", "created_before": START + 9},
    ],
)
def test_what_is_selected_is_what_the_predicate_means(
    store: LocalStore, said: dict[str, object]
) -> None:
    wanted = Selection(NOW, **said)  # type: ignore[arg-type]
    every = sorted(store.scan(), key=lambda one: -one.id)
    meant = [one for one in every if wanted.holds(one)]
    assert store.select(wanted, None, 10_000) == meant
    paged: list[Entry] = []
    before = None
    while page := store.select(wanted, before, 70):
        assert len(page) <= 70
        paged += page
        before = page[-1].id
    assert paged == meant


def test_the_predicate_against_facts_by_hand() -> None:
    one = replace(various(14), id=1)
    assert condition_of(one, NOW) == "stale"
    assert condition_of(one, START) == "fresh"
    assert condition_of(replace(one, state="quarantined"), START) == "quarantined"
    yes: list[dict[str, object]] = [
        {"tenant": "t2"},
        {"namespace": "crew"},
        {"contains": "GROSS"},
        {"contains": "äpfel"},
        {"created_before": START + 2},
        {"question": "Wie groß ist 100% von 14_?"},
    ]
    no: list[dict[str, object]] = [
        {"tenant": "t1"},
        {"namespace": ""},
        {"contains": "assistant"},
        {"created_before": START + 1.4},
        {"question": "Wie groß ist 100%"},
        {"key": "1"},
    ]
    assert all(Selection(NOW, **said).holds(one) for said in yes)  # type: ignore[arg-type]
    assert not any(Selection(NOW, **said).holds(one) for said in no)  # type: ignore[arg-type]


def test_holdings_are_counted(store: LocalStore) -> None:
    held = store.holdings(100)
    counted = Counter((one.scope.tenant, one.scope.model) for one in store.scan())
    assert {(one.tenant, one.model): one.entries for one in held} == counted
    assert sum(one.bytes for one in held) == store.stats().bytes
    assert [one.entries for one in held] == sorted(counted.values(), reverse=True)
    assert store.holdings(1) == held[:1]
    assert isinstance(held[0], Holding)
