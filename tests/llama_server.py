"""llama.cpp's own HTTP server, from the `xllamacpp` package, on the packaged model: a real
OpenAI-compatible server that keeps the KV of prefixes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SERVE = """
import sys
import xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = 4096
parameters.n_parallel = 1
parameters.cpuparams.n_threads = 2
parameters.hostnames = ["127.0.0.1"]
parameters.port = 0
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(model: str) -> Iterator[str]:
    """Its base URL, ready for questions; it ends with the context."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = next(line for line in process.stdout if line.startswith("http"))
        yield f"{address.strip()}/v1"
    finally:
        process.communicate("", timeout=30)
