"""Telling systemd that the server is ready (sd_notify(3)): one datagram, where it asks for one."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger("semcache.server")


def tell_systemd(state: str) -> None:
    """Send `READY=1` or the like to `NOTIFY_SOCKET`. Without it, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(state.encode(), name)
    except OSError as error:
        log.warning("systemd could not be told that the server is ready: %s", error.strerror)
