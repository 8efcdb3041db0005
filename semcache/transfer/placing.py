"""Under whose scope and key an entry of an export belongs here.

A tenant is an HMAC under the installation's secret, and it is part of every scope and exact key. So
an entry is found again in another installation only if it is given a tenant of that one, and its
key is made anew: of its scope and its question, where those are all that it was made of. A key that
holds more (images, several parts of a text, a question that was cut out of a prompt) cannot be made
again: such an entry is found by meaning only, where its scope is equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import blake2b

from semcache.errors import RequestError
from semcache.gptcache.entries import asked_of, key_of
from semcache.interfaces import Entry
from semcache.keys import Scope, exact_of
from semcache.variants import variant_key

ANYBODY = "anonymous"
_DIGEST = re.compile("[0-9a-f]{32}")


@dataclass(slots=True)
class Placing:
    """Whose entries they become. `only`: refuse those of any other tenant.

    `tenant` None keeps each entry's own, which must be one of this installation (`same`), or a name
    that no secret is in. With a `tenant`, all entries must be of one: caches are not merged by
    accident. `by_meaning` counts the entries that have lost their exact key.
    """

    tenant: str | None = None
    only: str | None = None
    same: bool = True
    by_meaning: int = 0

    def placed(self, entry: Entry) -> Entry:
        """The entry as it is stored here. Raises RequestError where it may not be."""
        own = entry.scope.tenant
        if self.only is not None and own != self.only:
            raise RequestError("It is of another tenant: '--tenant' names the one to take.")
        if self.tenant is None:
            if not self.same and _DIGEST.fullmatch(own):
                raise RequestError(
                    "Its tenant is of another installation, and nobody here would be given it: "
                    "name a key with '--tenant-key-env', or bring the secret along."
                )
            return entry
        if self.only is None:
            self.only = own  # the first one's, from here on
        return self._moved(entry, self.tenant)

    def _moved(self, entry: Entry, tenant: str) -> Entry:
        if tenant == entry.scope.tenant:
            return entry
        scope = replace(entry.scope, tenant=tenant)
        for recipe in (_plain, _one_part, _gptcache):
            if recipe(entry, entry.scope) == entry.key:
                return replace(entry, scope=scope, key=recipe(entry, scope) or "")
        if entry.question is None:
            raise RequestError("Its key cannot be made for another tenant, and it has no question.")
        self.by_meaning += 1
        digest = blake2b(f"{scope.digest()}{entry.key}".encode(), digest_size=32, person=b"moved")
        return replace(entry, scope=scope, key=digest.hexdigest())


def is_gptcaches(entry: Entry) -> bool:
    """Whether GPTCache's adapter has stored it: its key says so."""
    return _gptcache(entry, entry.scope) == entry.key


def _plain(entry: Entry, scope: Scope) -> str | None:
    return variant_key(exact_of(scope, entry.question), entry.variant)


def _one_part(entry: Entry, scope: Scope) -> str | None:
    parts = ({"type": "text", "text": entry.question},)
    return variant_key(exact_of(scope, entry.question, parts), entry.variant)


def _gptcache(entry: Entry, scope: Scope) -> str | None:
    try:
        return key_of(scope, asked_of(entry)) if "gptcache" in entry.completion.wire else None
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
