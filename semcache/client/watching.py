"""A client's own engine follows the knowledge folder, as the server's does."""

from __future__ import annotations

import concurrent.futures
import logging
import threading

from semcache.assembly import Assembled
from semcache.loop_thread import LoopThread

EVERY_S = 2.0
log = logging.getLogger("semcache.client")


class Watching:
    """Looks at the folder every few seconds, in a daemon thread, until `stop`.

    What goes wrong is logged, and the old knowledge stays in use.
    """

    def __init__(self, assembled: Assembled, loop: LoopThread) -> None:
        self._assembled = assembled
        self._loop = loop
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="semcache-knowledge", daemon=True).start()

    def stop(self) -> None:
        """Look no more. What is being read meanwhile may fail, unheard."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self._loop.run(self._assembled.refresh())
            except (Exception, concurrent.futures.CancelledError):
                if not self._ended.is_set():
                    log.exception("the knowledge could not be brought up to date")
