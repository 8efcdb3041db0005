"""One serving process: from an assembled cache to a listening server, and to its end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, fields, replace

from semcache.assembly import Assembled
from semcache.compat_headers import speaking
from semcache.config import Config
from semcache.installation import read_secret
from semcache.pass_through import PassThrough
from semcache.server_keys import Doorkeeper
from semcache.transfer.header import installation_of
from semcache_server.admin import AdminDoor
from semcache_server.app import Serving
from semcache_server.bounds import Bounds
from semcache_server.listening import uvicorn_config
from semcache_server.reloading import Hangup, Reloading, Server
from semcache_server.tracing import open_tracing
from semcache_server.trust import Elsewhere
from semcache_server.watching import Tracer


@dataclass(frozen=True, slots=True)
class Listening:
    """Sockets that are there already, where there are any, and whom to tell that they are heard.

    `elsewhere`: other processes of the same server, see `Serving`.
    """

    sockets: Sequence[socket.socket] | None = None
    ready: Callable[[], None] | None = None
    elsewhere: Elsewhere | None = None


_ALONE = Listening()


def serving_of(assembled: Assembled, cache_file_key: str, tracer: Tracer | None = None) -> Serving:
    """What the application serves. Raises ConfigError."""
    server = assembled.config.server
    upstream, door = assembled.upstream, assembled.doorkeeper
    watches = assembled.engine is not None or assembled.grounded is not None
    return Serving(
        cache=assembled.cache,
        tenant_of=assembled.tenant_of if door is None else door.tenant_of,
        caller_of=None if door is None else door.caller_of,
        admit=None if door is None else door.admit,
        pass_through=isinstance(door, PassThrough),
        learn=None if assembled.ring is None else assembled.ring.learn,
        forward_headers=assembled.config.upstream.forward_headers,
        bounds=Bounds(**{one.name: getattr(server, one.name) for one in fields(Bounds)}),
        model=assembled.default_model,
        embedding_names=assembled.embedding_names,
        more_models=() if upstream is None else (upstream.fetch_models,),
        refresh=assembled.refresh if watches else None,
        refresh_every_s=server.knowledge_poll_s,
        max_body_bytes=server.max_body_bytes,
        cache_file_key=cache_file_key,
        admin=AdminDoor(assembled.admin_keys),
        tenants=door.tenants if isinstance(door, Doorkeeper) else {},
        installation=installation_of(read_secret(assembled.config.gptcache.data_dir)),
        tracer=tracer,
        compat=speaking(server.compat_headers),
    )


def serve(
    assembled: Assembled,
    cache_file_key: str,
    read: Callable[[], Config],
    hangup: Hangup,
    on: Listening = _ALONE,
) -> bool:
    """Serve until SIGINT or SIGTERM; what was accepted is finished first.

    `read` reads the configuration again. False where it could not listen. Raises ConfigError.
    """
    server = assembled.config.server
    tracer = open_tracing() if server.traces == "otlp" else None
    with closing(tracer) if tracer is not None else nullcontext(), suppress(KeyboardInterrupt):
        reloading = Reloading(
            assembled,
            read,
            lambda made: replace(serving_of(made, cache_file_key, tracer), elsewhere=on.elsewhere),
        )
        listening = uvicorn_config(
            reloading.front,
            host=server.host,
            port=server.port,
            log_level=server.log_level,
            shutdown_grace_s=server.shutdown_grace_s,
        )
        listener = Server(listening, reloading, hangup, on.ready)
        listener.run(None if on.sockets is None else list(on.sockets))
    return listener.started
