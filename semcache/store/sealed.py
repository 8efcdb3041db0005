"""A LocalStore whose answers, questions and sketches are sealed at rest.

What is written is one AES-256-GCM envelope for each entry, in place of its completion, and one for
each question. Each has a random nonce of its own, and is bound to its entry's exact key and scope:
under another key, or in another scope, it cannot be opened. So what was moved, changed, or sealed
with another key is a miss, with a log line; and so is a row that is not sealed at all.

Vectors stay as they are, since they are searched; so do times, sizes, counters, model names, and
the digests that make an entry's key. See the README for what that tells.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from semcache.completion import Completion
from semcache.errors import ConfigError, StoreError
from semcache.interfaces import Candidate, Entry, Vector
from semcache.keyring import KeyRing
from semcache.keys import Scope
from semcache.selection import Selection
from semcache.sketch import Sketch
from semcache.store.local import LocalStore
from semcache.store.sealed_archive import Envelopes, SealedArchive
from semcache.whole import Whole

log = logging.getLogger("semcache.store")

_MEMBER = "sealed"
_NONCE = 12
_CLOSED = Completion({})


class Unopened(StoreError):
    """There is no key that opens this envelope, here and now."""


class Seals:
    """Makes envelopes and opens them. Raises ConfigError without the package `cryptography`."""

    def __init__(self, ring: KeyRing) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise ConfigError(
                "'store.encryption' needs the package cryptography: install "
                "semcache-proxy[encryption]."
            ) from None
        self._ring = ring
        self._cipher = AESGCM
        self._invalid = InvalidTag

    def seal(self, plain: bytes, kind: str, key: str, scope: Scope, *, same: bool = False) -> str:
        """An envelope as text. `same`: equal contents in one place have equal envelopes.

        Their nonce is then a PRF of all that is sealed (as in SIV, RFC 5297), and never repeats
        for anything else. Raises StoreError where the tenant's key is not at hand.
        """
        secret = self._key(scope)
        bound = _bound(kind, key, scope)
        nonce = os.urandom(_NONCE)
        if same:
            nonce = hmac.digest(secret, b"nonce" + bound + plain, "sha256")[:_NONCE]
        sealed = self._cipher(secret).encrypt(nonce, plain, bound)
        return base64.b64encode(nonce + sealed).decode()

    def open(self, envelope: object, kind: str, key: str, scope: Scope) -> bytes:
        """What is in an envelope. Raises Unopened."""
        try:
            raw = base64.b64decode(envelope, validate=True) if isinstance(envelope, str) else b""
            return self._cipher(self._key(scope)).decrypt(
                raw[:_NONCE], raw[_NONCE:], _bound(kind, key, scope)
            )
        except (ValueError, self._invalid):
            raise Unopened("It is not sealed with the key at hand, or not sealed.") from None

    def _key(self, scope: Scope) -> bytes:
        secret = self._ring.of(scope.tenant)
        if secret is None:
            raise Unopened("The key of its tenant is not at hand.")
        return secret


def _bound(kind: str, key: str, scope: Scope) -> bytes:
    """The associated data: what an envelope is, and where it belongs."""
    return f"semcache 1 {kind} {key} {scope.digest()}".encode("utf-8", "surrogatepass")


class SealedStore(LocalStore):
    """`seals` makes and opens the envelopes; the other arguments are LocalStore's."""

    def __init__(self, directory: Path, seals: Seals, **options: Any) -> None:
        self._seals = seals
        self._with_sketches = bool(options.pop("sketches", False))
        super().__init__(directory, **options)
        envelopes = Envelopes(self._opened_whole, self._sealed_whole)
        self.archive = SealedArchive(envelopes, self._database, self._writer, self._encoder)

    def get(self, key: str) -> Entry | None:
        """The entry under this exact key, expired or not; None where it cannot be opened."""
        entry = super().get(key)
        return None if entry is None else self._opened(entry)

    def by_id(self, entry_id: int) -> Entry | None:
        """The entry with this id; one that cannot be opened has no question and no answer."""
        return self._shown(super().by_id(entry_id))

    def search(self, scope: Scope, vector: Vector, k: int) -> list[Candidate]:
        """The k nearest entries of this scope that can be opened."""
        found = (self._candidate(one) for one in super().search(scope, vector, k))
        return [one for one in found if one is not None]

    def scan(self, batch: int = 1000) -> Iterator[Entry]:
        """All entries that can be opened, by ascending id."""
        for entry in super().scan(batch):
            opened = self._opened(entry, quietly=True)
            if opened is not None:
                yield opened

    def select(self, wanted: Selection, before: int | None, most: int) -> list[Entry]:
        """Entries that are meant, whether they can be opened or not; none is by its words."""
        return [self._visible(entry) for entry in super().select(wanted, before, most)]

    def put(
        self, entry: Entry, vector: Vector | None = None, sketch: Sketch | None = None
    ) -> Entry:
        """Seal and insert, or replace the entry with the same key."""
        if vector is None and sketch is not None:
            raise StoreError("A sketch is stored with its vector only: give both.")
        put = super().put(self.sealed(entry, sketch), vector)
        return replace(put, question=entry.question, completion=entry.completion)

    def add_alias(
        self, entry_id: int, question: str, vector: Vector, sketch: Sketch | None = None
    ) -> bool:
        """One more question that leads to an entry, sealed as the entry's own."""
        closed = super().by_id(entry_id)
        entry = None if closed is None else self._opened(closed)
        if entry is None or entry.question in (None, question):
            return False
        return super().add_alias(entry_id, self._alias(entry, question, sketch), vector)

    def quarantine(self, entry_id: int) -> Entry | None:
        """Never serve an entry again, but keep it."""
        return self._shown(super().quarantine(entry_id))

    def release(self, entry_id: int) -> Entry | None:
        """Undo a quarantine."""
        return self._shown(super().release(entry_id))

    # -------------------------------------------------------------------------------- envelopes

    def sealed(self, entry: Entry, sketch: Sketch | None = None) -> Entry:
        """The entry as it is written. Raises StoreError where its tenant's key is not at hand."""
        held = {
            "completion": entry.completion.wire,
            "question": entry.question,
            "sketch": _packed(sketch),
        }
        envelope = self._seals.seal(_written(held), "entry", entry.key, entry.scope)
        question = None if entry.question is None else ""  # whether there is one is no secret
        return replace(entry, question=question, completion=Completion({_MEMBER: envelope}))

    def _open(self, entry: Entry) -> tuple[Entry, Sketch | None]:
        """Raises Unopened."""
        envelope = entry.completion.wire.get(_MEMBER)
        held = orjson.loads(self._seals.open(envelope, "entry", entry.key, entry.scope))
        opened = replace(
            entry, question=held["question"], completion=Completion(held["completion"])
        )
        return opened, _unpacked(held)

    def _opened(self, entry: Entry, *, quietly: bool = False) -> Entry | None:
        try:
            return self._open(entry)[0]
        except Unopened as error:
            log.log(
                logging.DEBUG if quietly else logging.WARNING,
                "entry %d is passed over: %s",
                entry.id,
                error,
            )
            return None

    def _candidate(self, found: Candidate) -> Candidate | None:
        try:
            entry, sketch = self._open(found.entry)
            alias = found.alias
            if alias is not None:
                alias, sketch = self._open_alias(entry, alias)
        except Unopened as error:
            log.warning("entry %d is passed over: %s", found.entry.id, error)
            return None
        return replace(
            found, entry=entry, alias=alias, sketch=sketch if self._with_sketches else None
        )

    def _alias(self, entry: Entry, question: str, sketch: Sketch | None) -> str:
        held = _written({"question": question, "sketch": _packed(sketch)})
        return self._seals.seal(held, "alias", entry.key, entry.scope, same=True)

    def _open_alias(self, entry: Entry, envelope: str) -> tuple[str, Sketch | None]:
        """Raises Unopened."""
        held = orjson.loads(self._seals.open(envelope, "alias", entry.key, entry.scope))
        return held["question"], _unpacked(held)

    def _sealed_whole(self, whole: Whole) -> Whole:
        entry = whole.entry
        aliases = [
            replace(one, question=self._alias(entry, one.question, one.sketch), sketch=None)
            for one in whole.aliases
        ]
        return Whole(self.sealed(entry, whole.sketch), whole.vector, None, tuple(aliases))

    def _opened_whole(self, whole: Whole) -> Whole | None:
        try:
            entry, sketch = self._open(whole.entry)
            aliases = []
            for one in whole.aliases:
                question, own = self._open_alias(entry, one.question)
                aliases.append(replace(one, question=question, sketch=own))
        except Unopened:
            return None
        return Whole(entry, whole.vector, sketch, tuple(aliases))

    def _visible(self, entry: Entry) -> Entry:
        """For who tends the store: without its words, where they cannot be read."""
        opened = self._opened(entry, quietly=True)
        return replace(entry, question=None, completion=_CLOSED) if opened is None else opened

    def _shown(self, entry: Entry | None) -> Entry | None:
        return None if entry is None else self._visible(entry)


def _written(held: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(held)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise StoreError(f"The entry cannot be written as JSON ({error}).") from error


def _packed(sketch: Sketch | None) -> str | None:
    return None if sketch is None else base64.b64encode(sketch.to_bytes()).decode()


def _unpacked(held: Mapping[str, Any]) -> Sketch | None:
    packed = held.get("sketch")
    return None if packed is None else Sketch.from_bytes(base64.b64decode(packed))
