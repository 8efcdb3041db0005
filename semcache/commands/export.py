"""`semcache export FILE`: stored answers as JSON lines."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from semcache.commands.installation import Installation, opened_installation
from semcache.commands.whose import add_tenant, members_of
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.transfer.export_file import ExportFile
from semcache.transfer.exporting import exported
from semcache.transfer.header import Header, installation_of
from semcache.whole import Wanted


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
    """Exit code 0 once all is written, 1 where not all could be read. Raises SemcacheError."""
    with opened_installation(config, args.tenant_key_env) as here:
        space, archive = args.namespace, here.store.archive
        members = None if space is None else members_of(space, here.secret)
        tenant = args.tenant if here.tenant is None else here.tenant
        wanted = Wanted(tenant, args.model, _time(args.since), space, members)
        header = Header(
            installation_of(here.secret),
            archive.encoder(),
            args.vectors,
            wanted,
            archive.count(wanted),
        )
        if args.file == "-":
            return _to_stdout(here, header)
        return _to_file(here, header, Path(args.file), args.overwrite)


def _to_stdout(here: Installation, header: Header) -> int:
    out, done = sys.stdout.buffer, 0
    try:
        out.write(header.line())
        with _bar(header.entries, 0) as bar:
            for count, lines in exported(here.store.archive, here.journal, header):
                out.write(lines)
                bar.update(count)
                done += count
        out.flush()
    except BrokenPipeError:  # whoever read it has enough; nothing more is to be flushed there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return _left_out(header.entries - done)


def _to_file(here: Installation, header: Header, path: Path, overwrite: bool) -> int:
    archive = here.store.archive
    with ExportFile(path, header, overwrite=overwrite) as file:
        total, done = archive.count(header.wanted, file.last), 0
        if file.resumed:
            sys.stderr.write(f"{path} holds {file.resumed:,} entries already: going on\n")
        with _bar(file.resumed + total, file.resumed) as bar:
            for count, lines in exported(archive, here.journal, header, file.last):
                file.write(lines)
                bar.update(count)
                done += count
        print(f"{file.resumed + done:,} entries in {path}")
    return _left_out(total - done)


def _left_out(count: int) -> int:
    """More may have come meanwhile than were counted; fewer could not be read."""
    if count <= 0:
        return 0
    sys.stderr.write(
        f"{count:,} entries are left out: they are sealed with keys that are not at hand "
        "('--tenant-key-env'), or cannot be read ('semcache check')\n"
    )
    return 1


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
