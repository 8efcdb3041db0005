"""From the lines of an export to entries of this installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from semcache import policy
from semcache.chat import text_request
from semcache.errors import RequestError
from semcache.interfaces import Entry
from semcache.journal import Journal, Remark
from semcache.policy import Skip
from semcache.transfer.bulk import Bulk, Report
from semcache.transfer.header import Header, header_of
from semcache.transfer.lines import whole_of
from semcache.transfer.placing import Placing, is_gptcaches

_SESSIONS = "gptcache-sessions"  # they name entries by ids that are others here


@dataclass(slots=True)
class Importing:
    """One import. `add` line by line, then `finish`. Blocking; not thread-safe."""

    bulk: Bulk
    placing: Placing
    installation: str
    journal: Journal
    header: Header | None = None

    def add(self, number: int, line: bytes) -> None:
        """Take a line in; the first one is the header. Raises RequestError, StoreError."""
        if not line.strip():
            return
        try:
            said = decoded(line)
            if self.header is None:
                self._begin(said)
                return
            self.bulk.report.read += 1
            whole = whole_of(said)
            if whole.entry.scope.source.answerer == _SESSIONS:
                self.bulk.report.notes["session records of GPTCache's"] += 1
                return
            entry = self._kept(self.placing.placed(whole.entry))
        except RequestError as error:
            if self.header is None:
                raise
            self.bulk.refuse(number, error.message)
        else:
            self._refute(entry, whole.refuted)
            self.bulk.add(number, replace(whole, entry=entry), size=len(line))

    def finish(self) -> Report:
        """Store what waits. Raises StoreError, and RequestError where there was nothing at all."""
        if self.header is None:
            raise RequestError("This is no export of semcache: it is empty.")
        report = self.bulk.finish()
        report.by_meaning = self.placing.by_meaning
        return report

    def _refute(self, entry: Entry, questions: Sequence[str]) -> None:
        """What was called wrong stays wrong here; noted before the answer can be served."""
        for asked in questions:
            if entry.key not in self.journal.refuted(asked):
                scope, at = entry.scope, entry.created_at
                self.journal.add(
                    Remark(at, scope.tenant, 0, entry.key, "wrong", asked, entry.question)
                )

    def _begin(self, said: Any) -> None:
        self.header = header_of(said)
        self.placing.same = self.header.installation == self.installation

    def _kept(self, entry: Entry) -> Entry:
        """With the time that policy gives it, if that ends sooner than its own."""
        if is_gptcaches(entry):  # its answers may be images, and it says itself
            return entry  # how long they live
        asked = text_request(entry.question or "", tenant="", model=entry.scope.model)
        now = entry.created_at
        kept = policy.keep(entry.completion, now, self.bulk.settings, request=asked)
        if isinstance(kept, Skip):
            raise RequestError(f"Its answer may not be stored: {kept.reason}.")
        ends = [at for at in (entry.expires_at, kept.expires_at) if at is not None]
        return replace(entry, expires_at=min(ends) if ends else None)


def decoded(line: bytes) -> dict[str, Any]:
    """The object of a line. Raises RequestError."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise RequestError("It is not JSON.") from None
    if not isinstance(said, dict):
        raise RequestError("It is no object.")
    return said
