"""`semcache dashboard`: where the dashboard of this installation is, with the key that opens it."""

from __future__ import annotations

import argparse
import sys
from ipaddress import ip_address
from typing import Any

from semcache.admin_key import read_admin_key
from semcache.config import Config
from semcache.installation import make_private


def add(each: Any) -> argparse.ArgumentParser:
    """The command's options."""
    command: argparse.ArgumentParser = each.add_parser(
        "dashboard", help="print the dashboard's address, with the admin key"
    )
    return command


def run(config: Config) -> int:
    """Print the address. Raises ConfigError.

    The key stands in the fragment, which a browser sends to nobody.
    """
    key = read_admin_key(make_private(config.gptcache.data_dir))
    sys.stderr.write("Whoever has this address can read and delete all that is cached:\n")
    print(f"http://{_authority(config.server.host, config.server.port)}/dashboard#key={key}")
    return 0


def _authority(host: str, port: int) -> str:
    """How a browser on this machine reaches a server that listens there."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return f"{host}:{port}"
    if address.is_unspecified:
        return f"localhost:{port}"
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
