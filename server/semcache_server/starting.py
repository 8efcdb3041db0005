"""From the command line to serving: alone, or as several workers."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from semcache.assembly import Assembled, build
from semcache.config import Config
from semcache.errors import SemcacheError
from semcache.installation import make_private
from semcache_server.logs import log_to_stderr
from semcache_server.notifying import tell_systemd
from semcache_server.options import checked, parser
from semcache_server.ports import listen_beside, reserve
from semcache_server.reloading import Hangup
from semcache_server.running import Listening, serve
from semcache_server.sharing import SharedCounts, folder_of, forget
from semcache_server.siblings import Siblings
from semcache_server.supervising import Supervisor, Worker

_COULD_NOT_LISTEN = 3


def start(argv: Sequence[str], worker: Worker | None = None) -> int:
    """Serve until a signal ends it; the exit status. Raises SemcacheError before it serves."""
    args = parser().parse_args(argv)
    config = checked(args)
    log_to_stderr(config.server.log_level, config.server.log_format)
    if worker is None and config.server.workers > 1:
        return _supervise(argv, config)
    return _serve(args, config, worker)


def work(worker: Worker) -> None:
    """One of several: what its supervisor starts."""
    try:
        sys.exit(start(worker.argv, worker))
    except SemcacheError as error:
        sys.exit(f"semcache_server: {error}")


def _serve(args: argparse.Namespace, config: Config, worker: Worker | None) -> int:
    hangup = Hangup()
    _own_process()
    assembled = build(config, progress=_say)
    with ExitStack() as stack:
        on = Listening(ready=_ready)
        if worker is None:
            where = f"http://{config.server.host}:{config.server.port}"
            _say(f"semcache is ready on {where} (model: {assembled.default_model})")
            _say(f"its dashboard: {where}/dashboard (`semcache dashboard` prints the key)")
        else:
            on = _beside(worker, assembled, stack)
        listened = serve(assembled, args.cache_file_key, partial(checked, args), hangup, on)
    return 0 if listened else _COULD_NOT_LISTEN


def _beside(worker: Worker, assembled: Assembled, stack: ExitStack) -> Listening:
    """As one of several: what is counted here and answered here is known to the others."""
    config, name = assembled.config, f"{worker.number}-{os.getpid()}"
    folder = config.gptcache.data_dir
    siblings = Siblings(folder_of(folder), name)
    stack.callback(siblings.close)
    stack.callback(SharedCounts(folder, name, assembled.cache.recording).close)
    sockets = [*listen_beside(config.server.host, worker.port), *siblings.listen()]
    return Listening(sockets, worker.ready.set, siblings.ask)


def _supervise(argv: Sequence[str], config: Config) -> int:
    server = config.server
    port, held = reserve(server.host, server.port)
    forget(make_private(config.gptcache.data_dir))
    where = f"http://{server.host}:{port}"
    with ExitStack() as stack:
        for one in held:
            stack.enter_context(one)
        supervisor = Supervisor(work, argv, server.workers, port, server.shutdown_grace_s)
        line = f"semcache is ready on {where}: {server.workers} workers"
        return supervisor.run(partial(_ready, line))


def _ready(line: str = "") -> None:
    if line:
        _say(line)
    tell_systemd("READY=1")


def _own_process() -> None:
    from semcache.onnx_graph import own_process  # slow to import: not for --help

    own_process()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
