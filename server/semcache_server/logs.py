"""The server's log: plain lines, or a JSON object a line. No text of a request is in it.

An exception's message may quote what was asked, so of an exception its type and its frames are
told, and its message at level debug only. Other libraries' messages end with their first line, for
the same reason: asyncio puts the exception's text into the others.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Literal, TypeAlias

LogFormat: TypeAlias = Literal["text", "json"]
_Raised: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_OWN = ("semcache", "uvicorn")


class _Careful(logging.Formatter):
    """Text lines."""

    def __init__(self, *, messages: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._messages = messages

    def format(self, record: logging.LogRecord) -> str:
        """The line, without what other formatters have kept on the record."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The message, shortened where it is not ours."""
        record.message = self.said(record)
        return super().formatMessage(record)

    def said(self, record: logging.LogRecord) -> str:
        """The message itself."""
        message = record.getMessage()
        if self._messages or record.name.partition(".")[0] in _OWN:
            return message
        return message.partition("\n")[0]

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's name
        """Type and frames; the message too where messages are told."""
        if self._messages:
            return super().formatException(ei)
        return "\n".join(_frames(ei[1]))


class _Json(_Careful):
    """A JSON object a line; of a request, its members beside the time."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.gmtime(record.created)
        line: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', at)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
        }
        members = getattr(record, "members", None)
        line |= {"message": self.said(record)} if members is None else members
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _frames(error: BaseException | None) -> list[str]:
    """An exception and what it came from, without their messages."""
    lines: list[str] = []
    while error is not None:
        kind = type(error)
        lines.append(f"{kind.__module__}.{kind.__qualname__}")
        frames = traceback.extract_tb(error.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return lines


def log_to_stderr(level: str, form: LogFormat) -> None:
    """semcache's own log at this level; other libraries say only what goes wrong."""
    messages = level == "debug"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Json(messages=messages) if form == "json" else _Careful(messages=messages)
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if getattr(one, "semcache", False)]:
        root.removeHandler(old)
    vars(handler)["semcache"] = True
    root.addHandler(handler)
    logging.getLogger("semcache").setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(level.upper())
