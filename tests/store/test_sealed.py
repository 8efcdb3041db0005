"""A sealed store is a store, and says nothing to who lacks the key, or moves its rows about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from semcache.errors import AuthenticationError, ConfigError, StoreError
from semcache.interfaces import Candidate, Entry, Store
from semcache.journal import Journal, Remark
from semcache.keyring import KeyRing, OperatorsRing, hkdf
from semcache.selection import Selection
from semcache.store.sealed import SealedStore, Seals
from tests.store.contract import Fresh, StoreContract
from tests.store.judging_contract import JudgingContract
from tests.store.judging_contract import sketch as a_sketch
from tests.store.samples import DIM, EMBEDDER, START, Clock, answer, entry, scope, unit

SECRET = b"s" * 32
OPERATORS = "a key of the operator's, long enough"


def opened(directory: Path, ring: KeyRing, *, sketches: bool = False) -> SealedStore:
    return SealedStore(
        directory, Seals(ring), dim=DIM, embedder=EMBEDDER, sketches=sketches, clock=Clock()
    )


@contextmanager
def opening(directory: Path, *, sketches: bool) -> Iterator[Fresh]:
    made: list[SealedStore] = []

    def open_one() -> SealedStore:
        ring = OperatorsRing(SECRET, OPERATORS)
        made.append(opened(directory / f"store-{len(made)}", ring, sketches=sketches))
        return made[-1]

    yield open_one
    for store in made:
        store.close()


class TestSealedStore(StoreContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Fresh]:
        with opening(tmp_path, sketches=False) as fresh:
            yield fresh

    @pytest.mark.parametrize("seed", [0])  # the envelopes take part in nothing more
    def test_random_operations_equal_a_dict(self, store: Store, seed: int) -> None:
        super().test_random_operations_equal_a_dict(store, seed)


class TestSealedStoreOfAJudge(JudgingContract):
    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Fresh]:
        with opening(tmp_path, sketches=True) as fresh:
            yield fresh

    @pytest.mark.parametrize("seed", [0])
    def test_random_operations_equal_a_dict(self, store: Store, seed: int) -> None:
        super().test_random_operations_equal_a_dict(store, seed)

    def test_a_sketch_counts_with_its_bytes(self, store: Store) -> None:
        vector = unit(np.random.default_rng(0), 1)[0]
        store.put(entry("k"), vector)
        before = store.stats().bytes
        store.put(entry("k"), vector, a_sketch(1))
        assert store.stats().bytes > before + len(a_sketch(1).to_bytes())
        assert store.check().clean

    def test_an_alias_counts_with_its_bytes(self, store: Store) -> None:
        vectors = unit(np.random.default_rng(0), 2)
        put = store.put(entry("k"), vectors[0])
        before = store.stats().bytes
        assert store.add_alias(put.id, "alias", vectors[1], a_sketch(1))
        assert store.stats().bytes > before + len(a_sketch(1).to_bytes()) + 4 * DIM
        assert store.check().clean


VECTORS = unit(np.random.default_rng(3), 3)


def filled(directory: Path, ring: KeyRing) -> None:
    """One entry of two tenants each, with an alias, closed again."""
    with opened(directory, ring, sketches=True) as store:
        for tenant in ("ann", "ben"):
            where = scope(tenant=tenant)
            secret = f"the secret of {tenant}"
            given = entry(tenant, where, question=f"{secret}?", completion=answer(f"{secret}!"))
            put = store.put(given, VECTORS[0], a_sketch(1))
            store.add_alias(put.id, f"tell {secret}", VECTORS[1], a_sketch(2))


def callers(*tenants: str) -> KeyRing:
    ring = KeyRing(SECRET)
    for tenant in tenants:
        ring.learn(tenant, f"sk-{tenant}")
    return ring


def found(store: Store, tenant: str, at: int = 0) -> tuple[Entry | None, list[Candidate]]:
    return store.get(tenant), store.search(scope(tenant=tenant), VECTORS[at], 3)


def test_nothing_of_it_is_on_the_disk_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    filled(tmp_path, callers("ann", "ben"))
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for word in (b"secret", b"sk-ann", b"choices", a_sketch(1).to_bytes()):
        assert word not in written
    with opened(tmp_path, callers("ann"), sketches=True) as store:
        entry_of_ann, near = found(store, "ann", at=1)
        assert entry_of_ann is not None
        assert entry_of_ann.completion.text == "the secret of ann!"
        assert near[0].alias == "tell the secret of ann"
        assert near[0].sketch is not None
        assert near[0].sketch.to_bytes() == a_sketch(2).to_bytes()
        assert found(store, "ben") == (None, [])
        assert [one.key for one in store.scan()] == ["ann"]
        assert [whole.entry.key for batch in store.archive.read() for whole in batch] == ["ann"]
        with pytest.raises(StoreError):
            store.put(entry("new", scope(tenant="ben")))
        for words in ("seal", "secret", "ann"):
            assert store.select(Selection(now=START, contains=words), None, 9) == []
        shown = store.select(Selection(now=START), None, 9)
        assert [one.question for one in shown] == [None, "the secret of ann?"]
        closed = store.by_id(2)
        assert closed is not None
        assert (closed.question, closed.completion.wire) == (None, {})
        assert store.check(fix=True).problems == ()
    ring = callers("ann")
    ring.learn("ben", "sk-ann")  # another key under the same tenant
    with opened(tmp_path, ring) as store:
        assert found(store, "ben") == (None, [])


def changed(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "semcache.db")) as db:
        for statement in statements:
            assert db.execute(statement).rowcount == 1
        db.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE completions SET json = (SELECT json FROM completions WHERE id = 2) WHERE id = 1",
        "UPDATE completions SET json = '{\"choices\": []}' WHERE id = 1",
        'UPDATE completions SET json = \'{"sealed": ""}\' WHERE id = 1',
        "UPDATE completions SET json = replace(json, substr(json, 30, 1), '') WHERE id = 1",
        "UPDATE entries SET key = 'other' WHERE id = 1",
    ],
)
def test_what_was_moved_or_changed_is_a_miss(
    tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One operator's key for all, and one tenant: rows may not even change places in it."""
    ring = OperatorsRing(SECRET, OPERATORS)
    with opened(tmp_path, ring) as store:
        for at, key in enumerate(("ann", "ben")):
            store.put(entry(key, completion=answer(f"for {key}")), VECTORS[at])
    changed(tmp_path, statement)
    with opened(tmp_path, ring) as store:
        assert store.get("ann") is None
        assert store.get("other") is None
        assert [one.entry.key for one in store.search(scope(), VECTORS[0], 2)] == ["ben"]
        assert "passed over" in caplog.text
        store.put(entry("ann", completion=answer("anew")), VECTORS[0])
        kept = store.get("ann")
        assert kept is not None
        assert kept.completion.text == "anew"


def test_an_alias_of_another_entry_is_a_miss(tmp_path: Path) -> None:
    filled(tmp_path, callers("ann", "ben"))
    changed(tmp_path, "UPDATE aliases SET question = (SELECT question FROM aliases WHERE id = 2)"
            " WHERE id = 1")  # fmt: skip
    with opened(tmp_path, callers("ann", "ben")) as store:
        assert store.search(scope(tenant="ann"), VECTORS[1], 3) == []
        assert store.search(scope(tenant="ben"), VECTORS[1], 3) != []


def test_the_whole_store_moves_into_a_plain_one_and_back(tmp_path: Path) -> None:
    ring = OperatorsRing(SECRET, OPERATORS)
    filled(tmp_path / "one", ring)
    with opened(tmp_path / "one", ring) as one, opened(tmp_path / "two", ring) as two:
        wholes = [whole for batch in one.archive.read() for whole in batch]
        assert [whole.aliases[0].question for whole in wholes] == [
            "tell the secret of ann",
            "tell the secret of ben",
        ]
        assert two.archive.put(wholes) == [1, 2]
        again = [whole for batch in two.archive.read() for whole in batch]
        assert [w.entry for w in again] == [w.entry for w in wholes]
        assert two.search(scope(tenant="ben"), VECTORS[1], 1)[0].alias == "tell the secret of ben"


def test_keys_are_derived_by_hkdf_and_forgotten(tmp_path: Path) -> None:
    theirs = HKDF(hashes.SHA256(), 32, salt=SECRET, info=b"semcache store 1:t").derive(b"sk-1")
    assert hkdf(b"sk-1", SECRET, b"semcache store 1:t") == theirs
    ring = KeyRing(SECRET, most=2)
    for tenant in ("t", "u", "t", "v"):
        ring.learn(tenant, "sk-1")
    assert ring.of("t") == theirs
    assert ring.of("u") is None
    with pytest.raises(AuthenticationError):
        ring.learn("anonymous", "")
    with pytest.raises(ConfigError, match="openssl"):
        OperatorsRing(SECRET, "guessable")


def test_feedback_keeps_no_words_and_still_knows_what_was_wrong(tmp_path: Path) -> None:
    ring = callers("ann")
    journal = Journal(tmp_path / "feedback.db", mark=ring.mark)
    journal.add(Remark(START, "ann", 1, "k", "wrong", "the secret?", "a secret", "my secret"))
    assert journal.refuted("the secret?") == {"k"}
    assert not journal.refuted("another?")
    journal.close()
    assert b"secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
