"""The cache under one or more clients: who made it, when it is opened, when it is closed.

Clients with an equal configuration share one cache; it is opened by the first request, and closed
with the last client or at the end of the process. A cache that was given is its giver's to close.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias
from weakref import WeakValueDictionary

from semcache.assembly import Assembled, build
from semcache.cache import SemCache
from semcache.client.watching import Watching
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.keys import tenant_of
from semcache.loop_thread import LoopThread

GivenConfig: TypeAlias = Config | str | os.PathLike[str]
log = logging.getLogger("semcache.client")


@dataclass(frozen=True, slots=True)
class Ready:
    """An open cache, and the tenant of a credential."""

    cache: SemCache
    tenant_of: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Left:
    """What a client leaves behind: with the last one goes `loop`, and `cache` is to be closed."""

    last: bool
    cache: SemCache | None = None


class Attached:
    """A cache as clients hold it. Thread-safe."""

    def __init__(
        self, config: Config | None, ready: Ready | None = None, given: object = None
    ) -> None:
        self.config = config
        self.given = given
        self.loop = LoopThread()
        self._ready = ready
        self._watching: Watching | None = None
        self._failed = False
        self._complained = False
        self._users = 0
        self._lock = threading.Lock()

    @property
    def settled(self) -> bool:
        """Whether `get` answers at once."""
        return self._ready is not None or self._failed

    def get(self) -> Ready | None:
        """The open cache; None where it cannot be opened. Blocking, the first time."""
        if self._ready is None and not self._failed:
            with self._lock:
                if self._ready is None and not self._failed:
                    self._open()
        return self._ready

    def complain(self) -> None:
        """Log the exception in hand, the first time."""
        level = logging.DEBUG if self._complained else logging.ERROR
        self._complained = True
        log.log(level, "the cache failed; the request goes on without it", exc_info=True)

    def hold(self) -> None:
        """One more client; `attach` does it."""
        self._users += 1

    def release(self) -> Left:
        """One client less."""
        with _lock:
            self._users -= 1
            if self._users:
                return Left(last=False)
            if self.config is None:
                return Left(last=True)
            _own.remove(self)
        self._stop_watching()
        ready, self._ready, self._failed = self._ready, None, True
        return Left(last=True, cache=None if ready is None else ready.cache)

    def _open(self) -> None:
        if self.config is None:
            return
        try:
            assembled = build(self.config)
        except Exception:
            self._failed = True
            self.complain()
            return
        self._ready = _ready(assembled)
        if assembled.engine is not None and self.config.cag.knowledge is not None:
            self._watching = Watching(assembled, self.loop)

    def _stop_watching(self) -> None:
        if self._watching is not None:
            self._watching.stop()

    def leave_at_exit(self) -> None:
        """Close what must reach the disk; no thread and no loop can be started any more."""
        self._stop_watching()
        if self._ready is not None:
            self._ready.cache.layers.store.close()


def attach(
    cache: SemCache | Assembled | Attached | None, cache_config: GivenConfig | None
) -> Attached:
    """The cache that these arguments of a client mean, to be released. Raises ConfigError."""
    if cache is not None and cache_config is not None:
        raise ConfigError("Give 'cache' or 'cache_config', not both.")
    found: Config | SemCache | Assembled | Attached
    found = _read(cache_config) if cache is None else cache
    with _lock:
        attached = _found(found)
        attached.hold()
        return attached


def _found(found: Config | SemCache | Assembled | Attached) -> Attached:
    if isinstance(found, Attached):
        return found
    if isinstance(found, Config):
        return _of_config(found)
    given = _given.get(id(found))
    if given is None:
        given = _given[id(found)] = Attached(None, _ready(found), given=found)
    return given


def _of_config(config: Config) -> Attached:
    for attached in _own:
        if attached.config == config:
            return attached
    _own.append(Attached(config))
    return _own[-1]


def _ready(cache: SemCache | Assembled) -> Ready:
    if isinstance(cache, Assembled):
        return Ready(cache.cache, cache.tenant_of)
    # There is no installation with a secret: the tenant is a plain digest of the key.
    return Ready(cache, partial(tenant_of, b"semcache client"))


def _read(cache_config: GivenConfig | None) -> Config:
    if cache_config is None:
        return Config.from_mapping({"engines": []})
    if isinstance(cache_config, Config):
        return cache_config
    return Config.from_file(Path(cache_config))


_lock = threading.Lock()
_own: list[Attached] = []
# By identity: an Attached holds what was given, so an id found here is still that object's.
_given: WeakValueDictionary[int, Attached] = WeakValueDictionary()


@atexit.register
def _at_exit() -> None:
    for attached in _own:
        attached.leave_at_exit()
