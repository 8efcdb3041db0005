"""A real semcache server on a loopback port, in a thread: real store, real encoder."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import uvicorn

from semcache.cache import SemCache
from semcache.embedding import SentenceEncoder
from semcache.interfaces import Answerer
from semcache.keys import tenant_of
from semcache.policy import PolicySettings
from semcache.store import LocalStore
from semcache_server.app import Serving, build_app
from semcache_server.listening import uvicorn_config

SECRET = b"s" * 32


@contextmanager
def serving(
    folder: Path,
    *answerers: Answerer,
    settings: PolicySettings | None = None,
    door: Callable[[str], str] = lambda key: tenant_of(SECRET, key),
    cached: Mapping[str, Any] = MappingProxyType({}),
    stored: Mapping[str, Any] = MappingProxyType({}),
    **options: Any,
) -> Iterator[httpx2.Client]:
    """Serve, and give a client whose base URL is the server's root.

    `cached` and `stored` are options of the cache and the store.
    """
    encoder = SentenceEncoder.open()
    store = LocalStore(folder, dim=encoder.dim, embedder=encoder.fingerprint, **stored)
    cache = SemCache(
        store=store,
        embedder=encoder,
        answerers=answerers,
        settings=settings or PolicySettings(),
        **cached,
    )
    serving = Serving(
        cache=cache,
        tenant_of=door,
        model="m",
        embedding_names=("all-MiniLM-L6-v2",),
        **options,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn_config(
        build_app(serving), host="127.0.0.1", port=0, log_level="error", shutdown_grace_s=5
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port = listener.getsockname()[1]
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
        if thread.is_alive():
            raise RuntimeError("the server did not stop")
