"""`semcache export FILE`: stored answers as JSON lines."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from semcache.assembly import make_private, open_store, read_secret
from semcache.commands.whose import add_tenant, members_of, tenant_in
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.journal import Journal
from semcache.transfer.export_file import ExportFile
from semcache.transfer.exporting import exported
from semcache.transfer.header import Header, installation_of
from semcache.whole import Archive, Wanted


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export", help="stored answers as JSON lines; an interrupted export goes on"
    )
    parser.add_argument("file", metavar="FILE", help="packed where it ends with .gz; - for stdout")
    add_tenant(parser, "only what this tenant stored")
    parser.add_argument("--model", help="only what this model was asked")
    parser.add_argument("--namespace", metavar="NAME", help="only this part of the cache")
    parser.add_argument("--since", metavar="TIME", help="only later ones: ISO 8601 or Unix seconds")
    parser.add_argument(
        "--vectors", action="store_true", help="and the vectors: larger, quick to read"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew, whatever is there")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 once all is written. Raises SemcacheError."""
    secret = read_secret(make_private(config.gptcache.data_dir))
    tenant, space = tenant_in(args, config, secret), args.namespace
    members = None if space is None else members_of(space, secret)
    wanted = Wanted(tenant, args.model, _time(args.since), space, members)
    store, journal = open_store(config), Journal(config.gptcache.data_dir / "feedback.db")
    try:
        archive: Archive = store.archive
        header = Header(
            installation_of(secret), archive.encoder(), args.vectors, wanted, archive.count(wanted)
        )
        if args.file == "-":
            return _to_stdout(archive, journal, header)
        return _to_file(archive, journal, header, Path(args.file), args.overwrite)
    finally:
        journal.close()
        store.close()


def _to_stdout(archive: Archive, journal: Journal, header: Header) -> int:
    out = sys.stdout.buffer
    try:
        out.write(header.line())
        with _bar(header.entries, 0) as bar:
            for count, lines in exported(archive, journal, header):
                out.write(lines)
                bar.update(count)
        out.flush()
    except BrokenPipeError:  # whoever read it has enough; nothing more is to be flushed there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _to_file(
    archive: Archive, journal: Journal, header: Header, path: Path, overwrite: bool
) -> int:
    with ExportFile(path, header, overwrite=overwrite) as file:
        total = file.resumed + archive.count(header.wanted, file.last)
        if file.resumed:
            sys.stderr.write(f"{path} holds {file.resumed:,} entries already: going on\n")
        done = file.resumed
        with _bar(total, done) as bar:
            for count, lines in exported(archive, journal, header, file.last):
                file.write(lines)
                bar.update(count)
                done += count
    print(f"{done:,} entries in {path}")
    return 0


def _bar(total: int, initial: int) -> Any:
    return tqdm(total=total, initial=initial, desc="export", unit=" entries", disable=None)


def _time(said: str | None) -> float | None:
    if said is None:
        return None
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(said).timestamp()
    except ValueError:
        raise ConfigError(
            f"'--since {said}' is no time: say 2026-01-31, 2026-01-31T12:00:00+01:00 or Unix "
            "seconds."
        ) from None
