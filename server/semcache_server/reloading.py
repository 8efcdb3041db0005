"""SIGHUP: the configuration is read again, and requests from then on are served by it.

A new application is put together beside the running one and takes its place between two requests;
those that have begun go on in the old one. A file that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

import uvicorn

from semcache.assembly import Assembled
from semcache.config import Config
from semcache.errors import SemcacheError
from semcache.reloading import Reloaded, reloaded
from semcache_server.app import Serving, build_app
from semcache_server.listening import Front

log = logging.getLogger("semcache.server")


class Hangup:
    """Whether SIGHUP came before the server was there to hear it. Made in the main thread."""

    def __init__(self) -> None:
        self.came = False
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True


class Reloading:
    """Takes a new configuration over. Belongs to one event loop.

    `read` reads it again; `serving_of` says what the application serves with it.
    """

    def __init__(
        self,
        assembled: Assembled,
        read: Callable[[], Config],
        serving_of: Callable[[Assembled], Serving],
    ) -> None:
        self.assembled = assembled
        self.serving = serving_of(assembled)
        self.front: Front = build_app(self.serving)
        self._read = read
        self._serving_of = serving_of
        self._turn = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._retired: list[Reloaded] = []

    async def reload(self) -> bool:
        """Read and take over; whether that went well. Never raises: the log says what is wrong."""
        async with self._turn:
            try:
                config = await asyncio.to_thread(self._read)
                made = await asyncio.to_thread(reloaded, self.assembled, config)
            except SemcacheError as error:
                log.error("the configuration is refused, the old one stays: %s", error)
                return False
            except Exception:
                log.exception("the configuration could not be taken over, the old one stays")
                return False
            self._take_over(made)
        return True

    async def aclose(self) -> None:
        """Close what was replaced; the rest is closed with the cache."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for one in self._retired:
            await one.close_replaced()

    def _take_over(self, made: Reloaded) -> None:
        before = self.serving
        self.assembled = made.assembled
        serving = self._serving_of(made.assembled)
        self.serving = replace(serving, readiness=before.readiness, tracer=before.tracer)
        self.front.become(build_app(self.serving))
        server = made.assembled.config.server
        logging.getLogger("semcache").setLevel(server.log_level.upper())
        for key in made.waiting:
            log.warning("'%s' has changed in the file and needs a restart", key)
        log.warning("the configuration was read again")
        if made.upstream is not None or made.door is not None:
            self._retired.append(made)
            last = asyncio.ensure_future(self._retire(made, server.request_timeout_s))
            self._retiring.add(last)
            last.add_done_callback(self._retiring.discard)

    async def _retire(self, made: Reloaded, after_s: float) -> None:
        """No request lasts longer than that."""
        await asyncio.sleep(after_s)
        self._retired.remove(made)
        await made.close_replaced()


class Server(uvicorn.Server):
    """uvicorn, which listens to SIGHUP too."""

    def __init__(
        self,
        config: uvicorn.Config,
        reloading: Reloading,
        hangup: Hangup,
        ready: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._reloading = reloading
        self._hangup = hangup
        self._tasks: set[asyncio.Task[bool]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self._ready is not None and self.started:
            self._ready()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Until SIGINT or SIGTERM."""
        loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        if self._hangup.came:
            self._reload()
        await super().serve(sockets)
        await asyncio.gather(*self._tasks)
        await self._reloading.aclose()

    def _reload(self) -> None:
        task = asyncio.ensure_future(self._reloading.reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
