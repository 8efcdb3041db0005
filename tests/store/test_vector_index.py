"""The vector index against brute force: scopes, codes, removal, growth, threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from semcache.interfaces import Vector
from semcache.store import vector_index
from semcache.store.codes import ScanCodes
from semcache.store.vector_index import LARGE, Packed, VectorIndex
from tests.store.samples import clustered, normal, unit


@pytest.fixture
def early_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes from eight entries on, so that a short test goes up and down many times."""
    monkeypatch.setattr(vector_index, "LARGE", 8)
    monkeypatch.setattr(vector_index, "_SMALL_AGAIN", 4)


class IndexMachine(RuleBasedStateMachine):
    """Adds and removes in any order; a dict and a matrix product say what must be found."""

    dim = 12

    def __init__(self) -> None:
        super().__init__()
        self.index = VectorIndex(self.dim)
        self.rows: dict[int, tuple[str, Vector]] = {}
        self.last = 0
        self.rng = np.random.default_rng(0)

    @rule(scope=st.sampled_from("ab"), count=st.integers(1, 9))
    def add(self, scope: str, count: int) -> None:
        added = []
        for vector in unit(self.rng, count, self.dim):
            self.last += 1
            added.append((self.last, scope, vector))
        self.index.apply(added, [])
        self.index.apply(added, [])  # again: ids are known, nothing changes
        self.rows.update({each: (where, vector) for each, where, vector in added})

    @rule(data=st.data(), count=st.integers(1, 9))
    def remove(self, data: st.DataObject, count: int) -> None:
        if self.rows:
            ids = data.draw(st.lists(st.sampled_from(sorted(self.rows)), max_size=count))
            self.index.apply([], [*ids, 10**9])
            for each in ids:
                self.rows.pop(each, None)

    @rule()
    def pack_and_build(self) -> None:
        self.index = VectorIndex.build(self.index.pack())

    @invariant()
    def finds_what_brute_force_finds(self) -> None:
        query = unit(self.rng, 1, self.dim)[0]
        for scope in "abc":
            mine = {each: v for each, (where, v) in self.rows.items() if where == scope}
            cosines = {each: float(v @ query) for each, v in mine.items()}
            wanted = sorted(cosines, key=lambda each: -cosines[each])[:5]
            found = self.index.search(scope, query, 5)
            assert [each for each, _ in found] == wanted
            assert [c for _, c in found] == pytest.approx([cosines[e] for e in wanted], abs=1e-6)

    @invariant()
    def is_whole(self) -> None:
        assert len(self.index) == len(self.rows)
        assert self.index.ids() == set(self.rows)
        assert self.index.wrong_codes() == []
        for each, (scope, vector) in self.rows.items():
            found = self.index.row(each)
            assert found is not None
            assert found[0] == scope
            assert (found[1] == vector).all()


@pytest.mark.usefixtures("early_codes")
def test_any_sequence_of_changes_equals_brute_force() -> None:
    run_state_machine_as_test(
        IndexMachine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def built(vectors: Vector) -> VectorIndex:
    ids = np.arange(1, len(vectors) + 1, dtype=np.int64)
    return VectorIndex.build(Packed(ids, vectors.copy(), ["s"], [len(vectors)], []))


@pytest.mark.parametrize("dim", [768, 384, 256, 100, 30])
@pytest.mark.parametrize("offset", [0.0, 1.8], ids=["spread", "narrow"])
def test_codes_find_every_neighbour_worth_serving(dim: int, offset: float) -> None:
    """`narrow`: all pairs are alike (cosine about .75), as some encoders make them."""
    rng = np.random.default_rng(dim)
    common = np.float32(offset) * unit(rng, 1, dim)
    vectors = normal(clustered(rng, 10_000, dim) + common)
    index = built(vectors)
    assert index.shape() == (1, 1)
    near = vectors[rng.integers(0, len(vectors), 300)]
    noise = rng.uniform(0.2, 1.0, (300, 1)).astype(np.float32)
    queries = normal(near + noise * unit(rng, 300, dim))
    cosines = queries @ vectors.T
    best = cosines.argmax(axis=1)
    worth = cosines.max(axis=1) >= 0.6
    assert worth.sum() > 200
    found = [index.search("s", query, 1)[0] for query in queries]
    hit = np.array([each == at + 1 for (each, _), at in zip(found, best, strict=True)])
    assert hit[worth].mean() >= 0.99
    for (each, cosine), query in zip(found, queries, strict=True):
        assert cosine == pytest.approx(float(vectors[each - 1] @ query), abs=1e-5)


def test_what_was_removed_does_not_crowd_out_what_is_there() -> None:
    """A thousand copies of the query are removed: the next nearest must come, not nothing."""
    rng = np.random.default_rng(5)
    vectors = unit(rng, 2000, 64)
    query = vectors[0]
    index = built(vectors)
    copies = [(10_000 + at, "s", query) for at in range(1000)]
    index.apply(copies, [])
    index.apply([], [each for each, _, _ in copies])
    index.apply([], [1])
    left = vectors[1:] @ query
    found = index.search("s", query, 3)
    assert [each for each, _ in found] == (np.argsort(-left)[:3] + 2).tolist()


def test_small_scopes_cost_one_row_and_no_codes() -> None:
    rng = np.random.default_rng(6)
    vectors = unit(rng, 3000, 16)
    index = VectorIndex(16)
    index.apply([(at + 1, f"scope {at // 2}", v) for at, v in enumerate(vectors)], [])
    assert index.shape() == (1500, 0)
    for at in (0, 1, 1499, 2999):
        [(first, cosine), _] = index.search(f"scope {at // 2}", vectors[at], 5)
        assert (first, round(cosine, 5)) == (at + 1, 1.0)
    index.apply([], range(1, 3001))
    assert (len(index), index.shape()) == (0, (0, 0))


def test_a_scope_gets_codes_when_it_grows_and_loses_them_when_it_shrinks() -> None:
    vectors = unit(np.random.default_rng(7), LARGE, 16)
    rows = [(at + 1, "s", vector) for at, vector in enumerate(vectors)]
    index = VectorIndex(16)
    index.apply(rows[:-1], [])
    assert index.shape() == (1, 0)
    index.apply(rows[-1:], [])
    assert index.shape() == (1, 1)
    index.apply([], range(1, LARGE // 2 + 2))
    assert index.shape() == (1, 0)
    assert index.search("s", vectors[-1], 1)[0][0] == LARGE


def test_a_wrong_code_is_noticed() -> None:
    vectors = unit(np.random.default_rng(8), 300, 16)
    index = built(vectors)
    assert index.wrong_codes() == []
    members = index._scopes["s"]
    assert members.codes is not None
    codes = ScanCodes(members.codes.frame)
    swapped = vectors.copy()
    swapped[[10, 20]] = swapped[[20, 10]]
    codes.add(swapped)
    members.codes = codes
    assert sorted(index.wrong_codes()) == [11, 21]


def test_searching_while_updating_never_pairs_a_vector_with_another_id() -> None:
    """Eight threads search while one adds and removes, through growth and slot reuse."""
    rng = np.random.default_rng(9)
    dim, count = 32, 6000
    vectors = unit(rng, count, dim)
    index = VectorIndex(dim)
    failures: list[str] = []
    stop = threading.Event()

    def search(seed: int) -> None:
        mine = np.random.default_rng(seed)
        try:
            while not stop.is_set():
                query = vectors[mine.integers(count)]
                for each, cosine in index.search("s", query, 4):
                    if abs(float(vectors[each - 1] @ query) - cosine) > 1e-5:
                        failures.append(f"{each} {cosine}")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=search, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for start in range(0, count, 20):
        index.apply([(at + 1, "s", vectors[at]) for at in range(start, start + 20)], [])
        index.apply([], (rng.integers(0, start + 20, 12) + 1).tolist())
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert index.wrong_codes() == []
    assert all(index.row(each) is not None for each in index.ids())
