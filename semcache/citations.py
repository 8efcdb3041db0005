"""Which passages an answer was given: told beside the answer, in its text when asked; or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semcache.chat import ChatRequest
from semcache.errors import RequestError
from semcache.retrieval import Passage

_OWN_FIELDS = frozenset({"knowledge", "sources_in_text"})


@dataclass(frozen=True, slots=True)
class Citation:
    """One passage. `passage` is its id, the digest of its text."""

    document: str
    heading: str
    passage: str
    text: str

    @classmethod
    def of(cls, passage: Passage) -> Citation:
        """The citation of a passage that a retriever found."""
        return cls(passage.document, passage.heading, passage.id, passage.text)

    def to_wire(self, with_text: bool) -> dict[str, str]:
        """One element of a response's `citations`."""
        wire = {"document": self.document, "heading": self.heading, "passage": self.passage}
        return {**wire, "text": self.text} if with_text else wire


def sources_text(citations: Sequence[Citation]) -> str:
    """What is appended to an answer: one line, each document and heading once, as given."""
    named = dict.fromkeys(
        f"{one.document} ({one.heading})" if one.heading else one.document for one in citations
    )
    return f"\n\nSources: {'; '.join(named)}" if named else ""


def asks_for_sources(request: ChatRequest, otherwise: bool) -> bool:
    """Whether the answer's text is to end with its sources. Raises RequestError."""
    asked = request.options.get("sources_in_text")
    if asked is None:
        return otherwise
    if not isinstance(asked, bool):
        raise RequestError("'sources_in_text' must be true or false.", param="sources_in_text")
    return asked


def wants_documents(request: ChatRequest) -> bool:
    """Whether the documents may be used: a request with `"knowledge": false` does without."""
    return request.options.get("knowledge") is not False


def without_own_fields(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request's body for other servers, which would not know what is asked of the documents."""
    if not _OWN_FIELDS.intersection(body):
        return body
    return {name: value for name, value in body.items() if name not in _OWN_FIELDS}
