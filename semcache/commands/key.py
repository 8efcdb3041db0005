"""`semcache key`: a new key for the server, and the lines of the configuration that let it in."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml

from semcache.config import Config
from semcache.server_keys import ServerKey, new_key


def add(each: Any) -> argparse.ArgumentParser:
    """The command's options."""
    command: argparse.ArgumentParser = each.add_parser(
        "key", help="make a key for the server, and the configuration that lets it in"
    )
    command.add_argument("name", metavar="NAME", help="who it is for")
    command.add_argument(
        "--namespace", metavar="NAME", help="share one cache with the other keys that name it"
    )
    command.add_argument(
        "--per-minute", type=int, metavar="N", help="requests that it may make in a minute"
    )
    return command


def run(args: argparse.Namespace, config: Config) -> int:
    """Print the key, once, and its section. Raises ConfigError."""
    key, digest = new_key()
    made = ServerKey(args.name, digest, args.namespace, args.per_minute)
    section: dict[str, object] = {"name": made.name, "sha256": made.sha256}
    if made.namespace is not None:
        section["namespace"] = made.namespace
    if made.requests_per_minute is not None:
        section["requests_per_minute"] = made.requests_per_minute
    sys.stderr.write("The key, which is kept nowhere:\n")
    print(key)
    sys.stderr.write("\nFor the configuration:\n")
    print(yaml.safe_dump({"server": {"keys": [section]}}, sort_keys=False), end="")
    if any(one.name == made.name for one in config.server.keys):
        sys.stderr.write(
            f"\nThere is a key '{made.name}' already: put this one in its place, and it has the "
            "same cache.\n"
        )
    return 0
