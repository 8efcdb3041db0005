"""What every store must do for judges and judgements: sketches, aliases, quarantine.

A store's test module subclasses JudgingContract beside StoreContract; its `fresh` opens stores
with sketches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from semcache.errors import StoreError
from semcache.interfaces import Store, Vector
from semcache.sketch import Sketch, sketch_of
from tests.store.samples import DIM, START, answer, entry, scope, unit

VECTORS = unit(np.random.default_rng(20), 40)


def sketch(seed: int, tokens: int = 5) -> Sketch:
    rng = np.random.default_rng(seed)
    return sketch_of(rng.integers(0, 30_000, tokens), rng.standard_normal((tokens, DIM)))


def found(store: Store, vector: Vector, k: int = 10) -> list[str]:
    return [candidate.entry.key for candidate in store.search(scope(), vector, k)]


class JudgingContract:
    @pytest.fixture
    def store(self, fresh: Callable[[], Store]) -> Store:
        return fresh()

    def test_a_sketch_comes_with_its_candidate(self, store: Store) -> None:
        for at in range(5):
            store.put(entry(f"k{at}"), VECTORS[at], sketch(at) if at % 2 else None)
        candidates = store.search(scope(), VECTORS[0], 5)
        assert len(candidates) == 5
        for candidate in candidates:
            at = int(candidate.entry.key[1:])
            assert candidate.sketch == (sketch(at) if at % 2 else None)
            assert candidate.alias is None
            assert candidate.question == f"question of k{at}"

    def test_a_sketch_is_replaced_and_deleted_with_its_entry(self, store: Store) -> None:
        store.put(entry("k"), VECTORS[0], sketch(1))
        store.put(entry("k"), VECTORS[0], sketch(2, tokens=9))
        [candidate] = store.search(scope(), VECTORS[0], 5)
        assert candidate.sketch == sketch(2, tokens=9)
        store.put(entry("k"), VECTORS[0])
        [candidate] = store.search(scope(), VECTORS[0], 5)
        assert candidate.sketch is None
        store.put(entry("k"), VECTORS[0], sketch(3))
        assert store.remove(["k"]) == 1
        assert store.stats().bytes == 0
        assert store.check().problems == ()

    def test_a_sketch_counts_with_its_bytes(self, store: Store) -> None:
        store.put(entry("k"), VECTORS[0])
        without = store.stats().bytes
        store.put(entry("k"), VECTORS[0], sketch(1))
        assert store.stats().bytes - without == len(sketch(1).to_bytes())
        assert store.check().problems == ()

    def test_a_sketch_without_a_vector_is_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="sketch"):
            store.put(entry("k"), None, sketch(1))
        assert store.get("k") is None

    def test_an_entry_is_found_by_its_id(self, store: Store) -> None:
        put = store.put(entry("one", scope("ctx", "t")))
        other = store.put(entry("two", scope("ctx", "t"), expires_at=START - 1))
        assert store.by_id(put.id) == put
        assert store.by_id(other.id) == other
        assert store.by_id(put.id + 1000) is None
        quarantined = store.quarantine(put.id)
        assert quarantined is not None
        assert store.by_id(put.id) == quarantined

    def test_a_tenants_scopes_the_newest_first(self, store: Store) -> None:
        for key, context, tenant in [("a", "1", "t"), ("b", "2", "t"), ("c", "3", "u")]:
            store.put(entry(key, scope(context, tenant)))
        store.put(entry("d", scope("1", "t")))
        assert store.scopes("t", 10) == [scope("1", "t"), scope("2", "t")]
        assert store.scopes("t", 1) == [scope("1", "t")]
        assert store.scopes("nobody", 10) == []

    # ------------------------------------------------------------------------------ quarantine

    def test_what_is_quarantined_is_kept_and_not_found(self, store: Store) -> None:
        put = [store.put(entry(f"k{at}"), VECTORS[at], sketch(at)) for at in range(3)]
        taken = store.quarantine(put[1].id)
        assert taken == replace(put[1], state="quarantined")
        assert store.get("k1") == taken
        assert taken in list(store.scan())
        assert set(found(store, VECTORS[1])) == {"k0", "k2"}
        assert store.stats().entries == 3
        assert store.check().problems == ()

    def test_what_is_released_is_found_again(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0], sketch(0))
        for _ in range(3):
            store.quarantine(put.id)
            assert store.quarantine(put.id) == replace(put, state="quarantined")
            assert found(store, VECTORS[0]) == []
            assert store.release(put.id) == store.release(put.id) == put
            [candidate] = store.search(scope(), VECTORS[0], 5)
            assert (candidate.entry, candidate.sketch) == (put, sketch(0))
        assert store.check().problems == ()

    def test_a_new_answer_ends_a_quarantine(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0])
        store.quarantine(put.id)
        store.put(entry("k", completion=answer("better")), VECTORS[0])
        assert found(store, VECTORS[0]) == ["k"]
        assert store.quarantine(put.id) is None
        assert found(store, VECTORS[0]) == ["k"]

    def test_an_entry_may_be_put_in_quarantine(self, store: Store) -> None:
        put = store.put(entry("k", state="quarantined"), VECTORS[0])
        got = store.get("k")
        assert got is not None
        assert got.state == "quarantined"
        assert found(store, VECTORS[0]) == []
        assert store.check().problems == ()
        store.release(put.id)
        assert found(store, VECTORS[0]) == ["k"]

    def test_what_is_not_there_cannot_be_quarantined_or_released(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0])
        store.remove(["k"])
        assert store.quarantine(put.id) is None
        assert store.release(put.id) is None
        assert store.quarantine(999) is None

    def test_a_removed_entry_leaves_quarantine_for_good(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0], sketch(0))
        store.quarantine(put.id)
        assert store.remove(["k"]) == 1
        assert store.stats().bytes == 0
        assert store.check().problems == ()

    # --------------------------------------------------------------------------------- aliases

    def test_an_alias_leads_to_its_entry(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0], sketch(0))
        assert store.add_alias(put.id, "in other words", VECTORS[1], sketch(1))
        [candidate] = store.search(scope(), VECTORS[1], 5)
        assert candidate.entry == put
        assert candidate.similarity == pytest.approx(1.0, abs=1e-6)
        assert (candidate.alias, candidate.question) == ("in other words", "in other words")
        assert candidate.sketch == sketch(1)
        [candidate] = store.search(scope(), VECTORS[0], 5)
        assert (candidate.alias, candidate.question) == (None, "question of k")
        assert candidate.sketch == sketch(0)
        assert store.search(scope("elsewhere"), VECTORS[1], 5) == []
        assert store.check().problems == ()

    def test_an_entry_stands_once_however_many_questions_lead_to_it(self, store: Store) -> None:
        many = store.put(entry("many"), VECTORS[0])
        query = VECTORS[1]
        near = [(query + 0.02 * VECTORS[at]).astype(np.float32) for at in range(2, 14)]
        for at, vector in enumerate(near):
            store.add_alias(many.id, f"alias {at}", vector)
        for at in range(3):
            store.put(entry(f"k{at}"), (query + 0.5 * VECTORS[20 + at]).astype(np.float32))
        for k in (1, 2, 3, 4, 9):
            candidates = store.search(scope(), query, k)
            keys = [candidate.entry.key for candidate in candidates]
            assert keys[0] == "many"
            assert len(set(keys)) == len(keys) == min(k, 4)
            nearest = max(float(v @ query / np.linalg.norm(v)) for v in near)
            assert candidates[0].similarity == pytest.approx(nearest, abs=1e-5)
            similarities = [candidate.similarity for candidate in candidates]
            assert similarities == sorted(similarities, reverse=True)

    def test_the_same_question_is_added_once(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0])
        assert store.add_alias(put.id, "alias", VECTORS[1])
        before = store.stats()
        assert not store.add_alias(put.id, "alias", VECTORS[2])
        assert not store.add_alias(put.id, "question of k", VECTORS[2])
        assert not store.add_alias(999, "alias", VECTORS[2])
        exact = store.put(entry("exact only", question=None, embedder=None))
        assert not store.add_alias(exact.id, "alias", VECTORS[2])
        store.remove(["exact only"])
        assert store.stats().bytes == before.bytes

    def test_an_alias_goes_with_its_entry(self, store: Store) -> None:
        for at in range(4):
            put = store.put(entry(f"k{at}"), VECTORS[at])
            store.add_alias(put.id, "alias", VECTORS[10 + at], sketch(at))
        store.remove(["k0"])
        store.put(entry("k1"), VECTORS[1])
        assert "k0" not in found(store, VECTORS[10])
        aliases = {c.entry.key: c.alias for c in store.search(scope(), VECTORS[11], 9)}
        assert aliases["k1"] is None
        assert store.search(scope(), VECTORS[12], 1)[0].alias == "alias"
        assert store.check().problems == ()
        store.clear()
        assert found(store, VECTORS[12]) == []
        assert store.stats().bytes == 0
        assert store.check().problems == ()

    def test_an_alias_counts_with_its_bytes(self, store: Store) -> None:
        put = store.put(entry("k"), VECTORS[0])
        before = store.stats()
        store.add_alias(put.id, "größer", VECTORS[1], sketch(1))
        after = store.stats()
        held = len("größer".encode()) + 4 * DIM + len(sketch(1).to_bytes())
        assert after.bytes - before.bytes == held
        assert (before.vectors, after.vectors) == (1, 2)
        assert (before.entries, after.entries) == (1, 1)

    def test_an_alias_of_what_is_quarantined_is_not_found_until_the_release(
        self, store: Store
    ) -> None:
        put = store.put(entry("k"), VECTORS[0])
        store.add_alias(put.id, "before", VECTORS[1])
        store.quarantine(put.id)
        store.add_alias(put.id, "meanwhile", VECTORS[2])
        assert found(store, VECTORS[1]) == found(store, VECTORS[2]) == []
        assert store.check().problems == ()
        store.release(put.id)
        assert store.search(scope(), VECTORS[1], 1)[0].alias == "before"
        assert store.search(scope(), VECTORS[2], 1)[0].alias == "meanwhile"
        assert store.check().problems == ()

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros(DIM, dtype=np.float32),
            np.full(DIM, np.nan, dtype=np.float32),
            np.ones(DIM + 1, dtype=np.float32),
        ],
    )
    def test_a_bad_alias_is_refused_and_harms_nothing(self, store: Store, bad: Vector) -> None:
        put = store.put(entry("k"), VECTORS[0])
        with pytest.raises(StoreError):
            store.add_alias(put.id, "alias", bad)
        with pytest.raises(StoreError):
            store.add_alias(put.id, "\ud800", VECTORS[1])
        assert store.stats().vectors == 1
        assert store.check().problems == ()

    @pytest.mark.parametrize("seed", range(3))
    def test_random_operations_equal_a_dict(self, store: Store, seed: int) -> None:
        rng = np.random.default_rng(seed)
        questions: dict[str, list[tuple[str | None, Vector]]] = {}
        ids: dict[str, int] = {}
        away: set[str] = set()
        for step in range(250):
            key, vector = f"k{rng.integers(12)}", unit(rng, 1)[0]
            what = rng.random()
            if what < 0.35:
                ids[key] = store.put(entry(key), vector).id
                questions[key] = [(None, vector)]
                away.discard(key)
            elif what < 0.7 and key in ids:
                assert store.add_alias(ids[key], f"alias {step}", vector)
                questions[key].append((f"alias {step}", vector))
            elif what < 0.8 and key in ids:
                store.quarantine(ids[key])
                away.add(key)
            elif what < 0.92 and key in ids:
                store.release(ids[key])
                away.discard(key)
            elif key in ids:
                store.remove([key])
                del ids[key], questions[key]
                away.discard(key)
            query, k = unit(rng, 1)[0], int(rng.integers(1, 8))
            best = []
            for each in ids.keys() - away:
                cosines = [(float(v @ query), alias) for alias, v in questions[each]]
                best.append((*max(cosines, key=lambda pair: pair[0]), each))
            best.sort(key=lambda row: -row[0])
            candidates = store.search(scope(), query, k)
            shown = [(c.alias, c.entry.key) for c in candidates]
            assert shown == [(alias, key) for _, alias, key in best[:k]]
        assert store.check().problems == ()
