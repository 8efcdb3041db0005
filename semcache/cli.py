"""The command `semcache`: prepare, check, stats, config, and what `commands` adds."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from semcache import __version__
from semcache.assembly import build
from semcache.commands import (
    backup,
    calibrate,
    dashboard,
    explain,
    export,
    finetune_blocks,
    import_,
    key,
    knowledge,
    warm,
)
from semcache.config import Config, default_config
from semcache.errors import SemcacheError
from semcache.installation import open_embedder, open_store


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    commands = argparse.ArgumentParser(prog="semcache", description="Tend a semcache installation.")
    commands.add_argument("--version", action="version", version=f"semcache {__version__}")
    each = commands.add_subparsers(dest="command", required=True, metavar="COMMAND")
    prepare = each.add_parser("prepare", help="convert the models, read the knowledge, check both")
    prepare.add_argument("--knowledge", type=Path, metavar="FOLDER", help="documents to read")
    check = each.add_parser("check", help="prove that rows and index agree")
    check.add_argument("--fix", action="store_true", help="repair what does not")
    stats = each.add_parser("stats", help="sizes and counters of the store, as JSON")
    config = each.add_parser("config", help="the configuration in force, as YAML")
    for one in (
        prepare,
        check,
        stats,
        config,
        key.add(each),
        dashboard.add(each),
        explain.add(each),
        calibrate.add(each),
        export.add(each),
        import_.add(each),
        warm.add(each),
        finetune_blocks.add(each),
        *knowledge.add(each),
        *backup.add(each),
    ):
        one.add_argument("-f", "--cache-config-file", type=Path, metavar="FILE")
        one.add_argument("-d", "--cache-dir", type=Path, metavar="DIR", help="the data directory")
    return commands


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point; exits 1 for a problem found, 2 for one that prevented looking."""
    args = parser().parse_args(argv)
    commands: Mapping[str, Callable[[Config], int]] = {
        "prepare": _prepare,
        "check": lambda config: _check(config, fix=args.fix),
        "stats": _stats,
        "config": _config,
        "key": lambda config: key.run(args, config),
        "dashboard": dashboard.run,
        "explain": lambda config: explain.run(args, config),
        "calibrate": lambda config: calibrate.run(args, config),
        "export": lambda config: export.run(args, config),
        "import": lambda config: import_.run(args, config),
        "warm": lambda config: warm.run(args, config),
        "backup": lambda config: backup.run(args, config),
        "restore": lambda config: backup.run(args, config),
        "finetune-blocks": lambda config: finetune_blocks.run(args, config),
        "knowledge": lambda config: knowledge.run(args, config),
    }
    try:
        file = args.cache_config_file
        config = default_config() if file is None else Config.from_file(file)
        folder = getattr(args, "knowledge", None)
        config = config.with_overrides(data_dir=args.cache_dir, knowledge=folder)
        sys.exit(commands[args.command](config))
    except SemcacheError as error:
        sys.stderr.write(f"semcache: {error}\n")
        sys.exit(2)


def _prepare(config: Config) -> int:
    assembled = build(config, progress=_say)
    if assembled.engine is not None:
        assembled.engine.store_blocks(_say)
    asyncio.run(assembled.cache.aclose())
    _say("ready")
    return 0


def _check(config: Config, *, fix: bool) -> int:
    embedder = open_embedder(config)
    store = open_store(config, embedder)
    try:
        report = store.check(fix)
    finally:
        store.close()
    for problem in report.problems:
        print(problem)
    print(
        f"{report.entries} entries, {report.vectors} vectors, "
        f"{len(report.problems)} problems, {report.repaired} repaired"
    )
    return 0 if report.clean else 1


def _stats(config: Config) -> int:
    store = open_store(config)
    try:
        print(json.dumps(dataclasses.asdict(store.stats()), indent=1, sort_keys=True))
    finally:
        store.close()
    return 0


def _config(config: Config) -> int:
    print(yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False), end="")
    return 0


def _plain(value: Any) -> Any:
    """The value in YAML's own types."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
