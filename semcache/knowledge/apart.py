"""Files are read as text in a process of its own, which may be ended.

Who reads pdf, html or a table follows whatever the file says, for as long as it takes. A file that
takes too long, or that brings its reader down, is an UnreadableDocument like any other. The process
is started with the first such file, stays for the next, and is ended with its owner.

Both sides speak in messages: 8 bytes of length, then so many bytes. To the reader: name, most bytes
and content; from it: "+" and the text, or "-" and why there is none.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from semcache.errors import UnreadableDocument
from semcache.knowledge.loading import text_of

_LENGTH_BYTES = 8
_PATIENCE_S = 1.0
_AT_ONCE = frozenset({".txt", ".md", ".markdown"})


class ReaderApart:
    """`text_of` of `loading`, at most `most_s` seconds a file. Safe from several threads."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def text_of(self, path: Path, content: bytes, max_bytes: int) -> str:
        """See `loading.text_of`; plain texts are read here. Raises UnreadableDocument."""
        if path.suffix.lower() in _AT_ONCE:
            return text_of(path, content, max_bytes)
        with self._lock:
            said = self._asked(path, content, max_bytes)
        if said[:1] == b"+":
            return said[1:].decode(errors="surrogatepass")
        raise UnreadableDocument(said[1:].decode(errors="surrogatepass"))

    def close(self) -> None:
        """End the process; it may be started again."""
        with self._lock:
            self._end()

    def _asked(self, path: Path, content: bytes, max_bytes: int) -> bytes:
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            name = str(path).encode(errors="surrogatepass")
            for part in (name, b"%d" % max_bytes, content):
                send(process.stdin, part)
            process.stdin.flush()
            return received(process.stdout)
        except (OSError, EOFError):
            self._end()
            why = "its reader broke down"
            if process.returncode == -signal.SIGALRM:
                why = f"that takes longer than {self._most_s:g} s ('knowledge.max_read_s')"
            raise UnreadableDocument(f"{path} cannot be read: {why}. Keep it out.") from None

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "semcache.knowledge.reading_process", str(self._most_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise UnreadableDocument(f"No process can be started to read it: {error}.") from None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was not yet written is not wanted any more
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(_PATIENCE_S)  # without a pipe it ends, if it is not over already
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def send(stream: IO[bytes], part: bytes) -> None:
    """One message. Raises OSError."""
    stream.write(len(part).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(part)


def received(stream: IO[bytes]) -> bytes:
    """One message. Raises EOFError where the other side is gone."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        raise EOFError
    size = int.from_bytes(head, "big")
    part = stream.read(size)
    if len(part) < size:
        raise EOFError
    return part
