"""An event loop in a thread of its own, for callers who have none."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Starts on first use; a daemon. Ends with `close`, or when nobody holds it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop and wait for it. Not from the loop's own thread.

        A caller who is interrupted cancels it. Raises concurrent.futures.CancelledError where the
        loop is closed before `work` is done.
        """
        future = self.start(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run `work` in the loop, and do not wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._started().loop)

    def close(self) -> None:
        """Cancel what runs, and end the thread. May be called twice; `run` starts a new one."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop()
            if threading.current_thread() is not running.thread:
                running.thread.join()

    def _started(self) -> _Running:
        with self._lock:
            if self._running is None:
                self._running = _Running()
                weakref.finalize(self, self._running.stop).atexit = False
            return self._running


class _Running:
    """The thread and its loop; knows nothing of who uses them, so that they can be collected."""

    def __init__(self) -> None:
        ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self.thread = threading.Thread(
            target=lambda: asyncio.run(_until_stopped(ready)), name="semcache-loop", daemon=True
        )
        self.thread.start()
        self.loop, self._stopped = ready.result()

    def stop(self) -> None:
        """Ask the loop to end; safe from any thread, at any time."""
        try:
            self.loop.call_soon_threadsafe(self._stopped.set)
        except RuntimeError:  # it has ended
            return


async def _until_stopped(ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    stopped = asyncio.Event()
    ready.set_result((asyncio.get_running_loop(), stopped))
    await stopped.wait()
