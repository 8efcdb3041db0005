"""`semcache backup FILE` and `semcache restore FILE`: all that cannot be made again, and back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semcache.config import Config
from semcache.errors import ConfigError
from semcache.installation import make_private, open_store
from semcache.transfer.backup import STORE, back_up, restore


def add(commands: Any) -> Sequence[argparse.ArgumentParser]:
    """The commands' options."""
    backup: argparse.ArgumentParser = commands.add_parser(
        "backup", help="copy a live store with all that belongs to it"
    )
    backup.add_argument(
        "target", type=Path, metavar="FILE", help="a .tar, .tar.gz or .tgz; another name: a folder"
    )
    backup.add_argument("--with-knowledge", action="store_true", help="and what was read")
    back: argparse.ArgumentParser = commands.add_parser(
        "restore", help="put a backup into an empty data directory"
    )
    back.add_argument("source", type=Path, metavar="FILE", help="what `semcache backup` wrote")
    return backup, back


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 once the copy is whole and on the disk. Raises SemcacheError."""
    data = config.gptcache.data_dir
    if args.command == "restore":
        return _restore(args.source, data, config)
    if not (data / STORE).exists():
        raise ConfigError(f"There is no store in {data}: name its directory with '-d'.")
    store = open_store(config)
    try:
        sizes = back_up(data, store.backup, args.target, time.time(), knowledge=args.with_knowledge)
    finally:
        store.close()
    for name, size in sizes.items():
        print(f"{size:14,} bytes  {name}")
    print(f"backed up to {args.target}: it holds questions, answers and this installation's secret")
    return 0


def _restore(source: Path, data: Path, config: Config) -> int:
    if not source.exists():
        raise ConfigError(f"There is no backup at {source}.")
    names = restore(source, make_private(data))
    store = open_store(config)
    try:
        report = store.check()
    finally:
        store.close()
    for problem in report.problems:
        print(problem)
    print(f"restored {', '.join(names)} to {data}: {report.entries:,} entries")
    return 0 if report.clean else 1
