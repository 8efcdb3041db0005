"""What every store must do, whatever it is made of. The oracle is a dict and numpy.

A store's test module subclasses StoreContract and gives it a `fresh` fixture: a function that
opens a new, empty store for vectors of `samples.DIM` dimensions of `samples.EMBEDDER`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from semcache.completion import Completion
from semcache.errors import StoreError
from semcache.interfaces import Entry, Store, Vector
from tests.store.oracles import Crowd, Model
from tests.store.samples import DIM, START, UNSTORABLE, answer, entry, scope, unit

Fresh = Callable[[], Store]


class StoreContract:
    @pytest.fixture
    def store(self, fresh: Fresh) -> Store:
        return fresh()

    def test_an_entry_comes_back_whole(self, store: Store) -> None:
        wire = {
            "id": "x",
            "object": "chat.completion",
            "z": 1,
            "a": [None, True, 1.5, "𝄞 \u0000 ü"],
            "choices": [{"index": 0, "message": {"content": None, "tool_calls": [{"id": "t"}]}}],
        }
        given = entry(
            "whole",
            scope("ctx", "tenant ü"),
            question="¿qué?\nsecond line",
            completion=Completion(wire),
            expires_at=START + 5.25,
            cost_s=1.5,
            hits=3,
            used_at=START + 1,
            sources=("d1", "d2"),
            variant=2,
            writer="digest",
            stale_s=7.5,
            detail={"gaps": [0.25, "ü"]},
        )
        vector = unit(np.random.default_rng(0), 1)[0]
        put = store.put(given, vector)
        got = store.get("whole")
        assert got is not None
        assert put.id > 0
        assert got == put == replace(given, id=put.id)
        assert list(got.completion.wire) == list(wire)

    def test_an_entry_without_question_or_vector_is_found_exactly_only(self, store: Store) -> None:
        store.put(entry("exact", question=None, embedder=None))
        got = store.get("exact")
        assert got is not None
        assert (got.question, got.embedder) == (None, None)
        assert store.search(scope(), unit(np.random.default_rng(0), 1)[0], 5) == []

    def test_an_unknown_key_is_none(self, store: Store) -> None:
        assert store.get("nothing") is None

    def test_a_second_put_replaces_answer_and_vector(self, store: Store) -> None:
        first, second = unit(np.random.default_rng(1), 2)
        store.put(entry("k"), first)
        store.put(entry("k", completion=answer("new")), second)
        got = store.get("k")
        assert got is not None
        assert got.completion.text == "new"
        [candidate] = store.search(scope(), second, 5)
        assert candidate.similarity == pytest.approx(1.0, abs=1e-6)
        assert candidate.entry == got
        assert store.stats().entries == 1

    def test_search_stays_inside_the_scope(self, store: Store) -> None:
        vector = unit(np.random.default_rng(2), 1)[0]
        base = scope()
        others = [
            replace(base, tenant="other"),
            replace(base, model="other"),
            replace(base, context="other"),
            replace(base, params="other"),
            replace(base, source=replace(base.source, answerer="other")),
            replace(base, source=replace(base.source, model="other")),
            replace(base, source=replace(base.source, knowledge="other")),
        ]
        for at, where in enumerate([base, *others]):
            store.put(entry(f"k{at}", where), vector)
        for at, where in enumerate([base, *others]):
            found = store.search(where, vector, 20)
            assert [candidate.entry.key for candidate in found] == [f"k{at}"]
            assert found[0].entry.scope == where
        assert store.search(replace(base, context="never seen"), vector, 5) == []

    def test_search_orders_by_cosine_and_returns_at_most_k(self, store: Store) -> None:
        rng = np.random.default_rng(3)
        vectors, query = unit(rng, 50), unit(rng, 1)[0]
        for at, vector in enumerate(vectors):
            store.put(entry(f"k{at}"), vector)
        cosines = vectors.astype(np.float64) @ query.astype(np.float64)
        best = np.argsort(-cosines)
        for k in (1, 7, 50, 80):
            found = store.search(scope(), query, k)
            assert [c.entry.key for c in found] == [f"k{at}" for at in best[:k]]
            assert [c.similarity for c in found] == pytest.approx(cosines[best[:k]], abs=1e-6)

    def test_a_similarity_is_a_cosine_even_of_vectors_that_are_not_unit(self, store: Store) -> None:
        vector = unit(np.random.default_rng(4), 1)[0]
        store.put(entry("k"), vector * np.float32(3.0))
        [same] = store.search(scope(), vector * np.float32(0.5), 1)
        [opposite] = store.search(scope(), -vector, 1)
        assert same.similarity == pytest.approx(1.0, abs=1e-6)
        assert opposite.similarity == pytest.approx(-1.0, abs=1e-6)
        assert -1.0 <= opposite.similarity <= same.similarity <= 1.0

    def test_expired_entries_are_still_returned(self, store: Store) -> None:
        vector = unit(np.random.default_rng(5), 1)[0]
        store.put(entry("old", expires_at=START - 100), vector)
        got = store.get("old")
        assert got is not None
        assert got.expires_at == START - 100
        assert [c.entry.key for c in store.search(scope(), vector, 1)] == ["old"]

    def test_rows_of_another_encoder_are_served_exactly_and_never_searched(
        self, store: Store
    ) -> None:
        rng = np.random.default_rng(6)
        vector, longer = unit(rng, 1)[0], unit(rng, 1, 2 * DIM)[0]
        store.put(entry("same size", embedder="encoder-b"), vector)
        store.put(entry("longer", embedder="encoder-c"), longer)
        for key, embedder in (("same size", "encoder-b"), ("longer", "encoder-c")):
            got = store.get(key)
            assert got is not None
            assert got.embedder == embedder
        assert store.search(scope(), vector, 5) == []
        assert store.check().clean

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros(DIM, dtype=np.float32),
            np.full(DIM, np.nan, dtype=np.float32),
            np.ones(DIM + 1, dtype=np.float32),
            np.ones((1, DIM), dtype=np.float32),
            np.ones(0, dtype=np.float32),
        ],
    )
    def test_a_vector_without_direction_or_of_wrong_length_is_refused(
        self, store: Store, bad: Vector
    ) -> None:
        with pytest.raises(StoreError):
            store.put(entry("k"), bad)
        with pytest.raises(StoreError):
            store.search(scope(), bad, 1)
        assert store.get("k") is None

    @pytest.mark.parametrize(
        "bad",
        UNSTORABLE.values(),
        ids=UNSTORABLE.keys(),
    )
    def test_what_cannot_be_stored_is_refused_and_harms_nothing(
        self, store: Store, bad: Entry
    ) -> None:
        store.put(entry("good"))
        with pytest.raises(StoreError):
            store.put(bad)
        with pytest.raises(StoreError):
            store.get("\ud800")
        assert [kept.key for kept in store.scan()] == ["good"]
        assert store.check().clean

    def test_remove(self, store: Store) -> None:
        vectors = unit(np.random.default_rng(7), 3)
        for at, vector in enumerate(vectors):
            store.put(entry(f"k{at}"), vector)
        assert store.remove(["k0", "k2", "never", "k0"]) == 2
        assert store.remove([]) == 0
        assert store.get("k0") is None
        assert [c.entry.key for c in store.search(scope(), vectors[0], 5)] == ["k1"]
        assert store.check().clean

    def test_clear_one_tenant_or_all(self, store: Store) -> None:
        vectors = unit(np.random.default_rng(8), 6)
        for at, vector in enumerate(vectors):
            store.put(entry(f"k{at}", scope(tenant="ab"[at % 2])), vector)
        assert store.clear("a") == 3
        assert store.clear("a") == 0
        assert {kept.scope.tenant for kept in store.scan()} == {"b"}
        assert store.search(scope(tenant="a"), vectors[0], 5) == []
        assert len(store.search(scope(tenant="b"), vectors[1], 5)) == 3
        assert store.clear() == 3
        assert list(store.scan()) == []
        assert store.stats().bytes == 0

    def test_expire_knowledge(self, store: Store) -> None:
        other = replace(scope(), source=replace(scope().source, answerer="upstream"))
        store.put(entry("old", scope(knowledge="k1")))
        store.put(entry("stale already", scope(knowledge="k1"), expires_at=START + 1))
        store.put(entry("current", scope(knowledge="k2")))
        store.put(entry("someone else's", other))
        now = START + 10
        assert store.expire_knowledge("engine", "k2", now) == 1
        assert store.expire_knowledge("engine", "k2", now) == 0
        times = {kept.key: kept.expires_at for kept in store.scan()}
        assert times == {
            "old": now,
            "stale already": START + 1,
            "current": None,
            "someone else's": None,
        }

    def test_what_an_entry_rests_on_is_replaced(self, store: Store) -> None:
        old = ("base", "given", "a.txt")
        kept = store.put(replace(entry("k"), sources=old))
        other = store.put(entry("other"))
        for sources in (("another base", "given", "ä.txt", "b.txt"), ()):
            store.set_sources(kept.id, sources)
            store.set_sources(999_999, sources)
            assert store.get("k") == replace(kept, sources=sources)
        assert store.get("other") == other
        assert store.check().clean

    def test_touch_is_written_by_flush(self, store: Store) -> None:
        ids = [store.put(entry(f"k{at}")).id for at in range(3)]
        store.touch({ids[0]: 2, ids[1]: 1}, START + 5)
        store.touch({ids[0]: 1, 999_999: 1}, START + 3)
        store.flush()
        kept = {each.key: (each.hits, each.used_at) for each in store.scan()}
        assert kept == {
            "k0": (3, START + 5),
            "k1": (1, START + 5),
            "k2": (0, START),
        }
        assert store.stats().hits == 4

    def test_scan_reads_all_in_batches_by_id(self, store: Store) -> None:
        put = [store.put(entry(f"k{at}")).id for at in range(25)]
        for batch in (1, 7, 25, 1000):
            assert [kept.id for kept in store.scan(batch)] == sorted(put)

    def test_version_ignores_our_own_writes(self, store: Store) -> None:
        before = store.version()
        put = store.put(entry("k"), unit(np.random.default_rng(9), 1)[0])
        store.touch({put.id: 1}, START)
        store.flush()
        store.remove(["k"])
        assert store.version() == before

    def test_stats_count(self, store: Store) -> None:
        vector = unit(np.random.default_rng(10), 1)[0]
        store.put(entry("a"), vector)
        store.put(entry("b", embedder=None, expires_at=START - 1))
        stats = store.stats()
        assert (stats.entries, stats.vectors, stats.expired) == (2, 1, 1)
        size = stats.bytes
        assert size > 2 * len(b"answer of a") + vector.nbytes
        store.remove(["a"])
        assert 0 < store.stats().bytes < size

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()
        for call in (
            lambda: store.get("k"),
            lambda: store.put(entry("k")),
            lambda: store.remove(["k"]),
            lambda: store.search(scope(), unit(np.random.default_rng(0), 1)[0], 1),
            store.version,
            store.stats,
        ):
            with pytest.raises(StoreError, match="closed"):
                call()

    @pytest.mark.parametrize("seed", range(4))
    def test_random_operations_equal_a_dict(self, store: Store, seed: int) -> None:
        rng = np.random.default_rng(seed)
        scopes = [scope(name, tenant) for name in "abc" for tenant in "xy"]
        model = Model()
        for _ in range(350):
            model.change(store, rng, scopes)
            where, query = scopes[rng.integers(6)], unit(rng, 1)[0]
            k = int(rng.integers(1, 12))
            found = store.search(where, query, k)
            wanted = model.nearest(where, query, k)
            assert [c.entry.key for c in found] == [key for key, _ in wanted]
            assert [c.similarity for c in found] == pytest.approx(
                [cosine for _, cosine in wanted], abs=1e-5
            )
        assert {kept.key: kept for kept in store.scan()} == {
            key: kept for key, (kept, _) in model.rows.items()
        }
        report = store.check()
        assert (report.problems, report.entries) == ((), len(model.rows))

    def test_many_threads_never_see_a_wrong_answer(self, store: Store) -> None:
        crowd = Crowd(store, unit(np.random.default_rng(11), 64))
        threads = [threading.Thread(target=crowd.work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        crowd.stop.wait(2.5)
        crowd.stop.set()
        for thread in threads:
            thread.join()
        assert crowd.failures == []
        assert store.check().problems == ()
