"""One port for several processes: each has a socket of its own; the kernel shares callers out."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack

from semcache.errors import ConfigError


def reserve(host: str, port: int) -> tuple[int, list[socket.socket]]:
    """The port (the system's choice for 0), and bound sockets that keep it for us.

    They take no connection: that is for those who `listen_beside` them. Raises ConfigError where
    somebody else has it.
    """
    _require_reuse()
    with ExitStack() as undo:
        held = []
        for family, address in _addresses(host, port):
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    _bind(probe, _at(address, port), shared=False)
                    port = probe.getsockname()[1]
                one = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _bind(one, _at(address, port), shared=True)
            except OSError as error:
                raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
            held.append(one)
        undo.pop_all()
    return port, held


def listen_beside(host: str, port: int) -> list[socket.socket]:
    """Sockets of our own on a reserved port. Raises ConfigError."""
    _require_reuse()
    sockets = []
    for family, address in _addresses(host, port):
        one = socket.socket(family, socket.SOCK_STREAM)
        try:
            _bind(one, _at(address, port), shared=True)
        except OSError as error:
            one.close()
            raise ConfigError(f"Cannot listen on {host}:{port}: {error.strerror}.") from None
        sockets.append(one)
    return sockets


def _bind(one: socket.socket, address: tuple[object, ...], *, shared: bool) -> None:
    if one.family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(address)


def _addresses(host: str, port: int) -> Sequence[tuple[int, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigError(f"'{host}' is no address to listen on: {error.strerror}.") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _at(address: tuple[object, ...], port: int) -> tuple[object, ...]:
    return (address[0], port, *address[2:])


def _require_reuse() -> None:
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigError("This system cannot share a port: leave --workers out.")
