"""Server-sent events: chunks to bytes, bytes to data strings. Pure.

The decoder follows the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream", as far
as OpenAI's wire form uses it: the data of each event. Names, ids and retry times are read past.
"""

from __future__ import annotations

import orjson

from semcache.completion import Chunk
from semcache.errors import UpstreamError
from semcache.responses.form import is_event_wire

DONE = b"data: [DONE]\n\n"
DONE_DATA = "[DONE]"
MAX_EVENT_BYTES = 16 * 2**20
_BOM = b"\xef\xbb\xbf"


def encode(chunk: Chunk) -> bytes:
    """One event that carries the chunk as JSON on one line; a response's events have names."""
    if is_event_wire(chunk.wire):
        name = str(chunk.wire["type"]).encode()
        return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(chunk.wire))
    return b"data: " + orjson.dumps(chunk.wire) + b"\n\n"


class EventDecoder:
    """An incremental decoder: feed it bytes as they come, cut anywhere.

    A line may end in LF, CR or CRLF. An event that the stream's end cuts off is discarded, as the
    standard asks; bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line: list[bytes] = []  # the pieces of a line whose end has not come yet
        self._data: list[str] = []  # the data lines of the event that is being read
        self._held_bytes = 0
        self._after_cr = False
        self._at_start = True

    def feed(self, data: bytes) -> list[str]:
        """The data of every event that these bytes complete.

        Raises UpstreamError where one event holds more than `max_event_bytes`.
        """
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if not data:
            return []
        lines = data.splitlines()  # for bytes: at LF, CR and CRLF only
        open_line = b"" if data.endswith((b"\n", b"\r")) else lines.pop()
        self._after_cr = data.endswith(b"\r")
        events = [event for line in lines if (event := self._end_line(line)) is not None]
        if open_line:
            self._hold(len(open_line))
            self._line.append(open_line)
        return events

    def _end_line(self, end: bytes) -> str | None:
        """Take a whole line; an empty one ends the event."""
        self._hold(len(end))
        line = b"".join([*self._line, end]) if self._line else end
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if line:
            self._take_field(line)
            return None
        event = "\n".join(self._data) if self._data else None
        self._data.clear()
        self._held_bytes = 0
        return event

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))

    def _hold(self, count: int) -> None:
        self._held_bytes += count
        if self._held_bytes > self._max_event_bytes:
            limit = self._max_event_bytes
            raise UpstreamError(f"An event of the stream is larger than {limit} bytes.")
