"""What an answer rests on, where it is made from documents that change.

An answer from passages that were looked up is as good for another state of the documents as long
as that state gives its question the same passages. So the documents' state is no part of its key:
the entry says for which state it is known to hold, and for which passages; for any other state the
passages are looked up again first (`layers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Grounds:
    """`base`: the documents' state, a digest. `given`: a digest of what was given of them.

    Equal `given`, equal prompt and citations, whatever the base. `documents` are the names of
    those that the given passages are from.
    """

    base: str
    given: str
    documents: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """As an entry keeps them."""
        return (self.base, self.given, *self.documents)

    def agree_with(self, sources: Sequence[str]) -> bool:
        """Whether an entry with these sources was given the same."""
        return len(sources) > 1 and sources[1] == self.given


def base_of(sources: Sequence[str]) -> str:
    """The state that an entry with these sources is known to hold for; empty for none."""
    return sources[0] if sources else ""


def documents_of(sources: Sequence[str]) -> tuple[str, ...]:
    """The names of the documents that an entry with these sources was made from."""
    return tuple(sources[2:])


def given_digest(texts: Iterable[str]) -> str:
    """Of texts in their order: 32 hex digits."""
    digest = blake2b(b"given", digest_size=16)
    for text in texts:
        content = text.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()
