"""`python -m semcache.knowledge.reading_process SECONDS`: the other side of `apart`.

It ends itself by an alarm's signal where a file takes so many seconds: whatever it is busy with,
and whether or not whoever asked is still there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from semcache.errors import UnreadableDocument
from semcache.knowledge.apart import received, send
from semcache.knowledge.loading import text_of


def main() -> None:
    """Read files until nobody asks for one."""
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a loader prints is no answer
    most_s = float(sys.argv[1])
    while True:
        try:
            name, most, content = (received(asked) for _ in range(3))
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, most_s)
        path = Path(name.decode(errors="surrogatepass"))
        try:
            said = "+" + text_of(path, content, int(most))
        except UnreadableDocument as error:
            said = f"-{error}"
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(told, said.encode(errors="surrogatepass"))
        told.flush()


if __name__ == "__main__":
    main()
