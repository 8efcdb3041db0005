"""`semcache key`: a new key for the server, and the lines of the configuration that let it in."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml

from semcache.config import Config
from semcache.quotas import Quota
from semcache.server_keys import ServerKey, new_key

_QUOTA: tuple[tuple[str, type, str], ...] = (
    ("tokens_per_day", int, "tokens that may be made for it in a day"),
    ("requests_per_day", int, "answers that may be made for it in a day"),
    ("usd_per_month", float, "dollars that these may cost in a month, by the price list"),
)


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
    command.add_argument(
        "--untrusted",
        action="store_true",
        help="read the namespace's answers, and have its own ones stored apart",
    )
    for name, kind, help_ in _QUOTA:
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=help_)
    return command


def run(args: argparse.Namespace, config: Config) -> int:
    """Print the key, once, and its section. Raises ConfigError."""
    key, digest = new_key()
    bounds = {name: bound for name, _, _ in _QUOTA if (bound := getattr(args, name)) is not None}
    quota = Quota(**bounds) if bounds else None
    made = ServerKey(
        args.name, digest, args.namespace, args.per_minute, quota, trusted=not args.untrusted
    )
    section: dict[str, object] = {"name": made.name, "sha256": made.sha256}
    if made.namespace is not None:
        section["namespace"] = made.namespace
    if made.requests_per_minute is not None:
        section["requests_per_minute"] = made.requests_per_minute
    if not made.trusted:
        section["trusted"] = False
    if bounds:
        section["quota"] = bounds
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
