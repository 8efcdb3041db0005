"""`semcache warm FILE`: questions asked ahead, so that their answers are there."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from semcache.assembly import Assembled, build
from semcache.commands.whose import key_in, tenant_asking
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.transfer.asked import Asker
from semcache.transfer.reading import lines_of, opened
from semcache.transfer.warming import Warmed, Warming


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "warm", help="ask questions ahead; what is there already is not asked again"
    )
    parser.add_argument(
        "file", metavar="FILE", help="questions, requests or a log, one a line; - for stdin"
    )
    parser.add_argument("--model", help="asked where a line names none (the first that answers)")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt of plain questions")
    parser.add_argument(
        "--tenant-key-env",
        metavar="NAME",
        help="ask as the key in this environment variable (nobody's)",
    )
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="(4)")
    parser.add_argument("--dry-run", action="store_true", help="say how many would be asked")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 where each question has its answer, 1 where some do not. Raises SemcacheError."""
    if args.concurrency < 1:
        raise ConfigError("'--concurrency' must be at least 1.")
    if args.file != "-" and not Path(args.file).is_file():
        raise ConfigError(f"There is no file {args.file}.")
    key = "" if args.tenant_key_env is None else key_in(args.tenant_key_env)
    assembled = build(config, progress=_say)
    warmed = asyncio.run(_warm(args, assembled, key))
    said = {**warmed.as_json(), "dry_run": args.dry_run}
    print(json.dumps(said) if args.json else as_text(warmed, dry=args.dry_run))
    return 0 if warmed.complete else 1


async def _warm(args: argparse.Namespace, assembled: Assembled, key: str) -> Warmed:
    try:
        asker = Asker(
            tenant_asking(assembled, key), args.model or assembled.default_model, args.system
        )
        with (
            opened(args.file) as (file, _),
            tqdm(total=_count(args.file), desc="warm", unit=" lines", disable=None) as bar,
        ):

            def tell() -> None:
                bar.update()

            work = Warming(
                assembled.cache,
                asker,
                args.concurrency,
                args.dry_run,
                _complain,
                tell,
            )
            return await work.run(lines_of(file, work.refuse))
    finally:
        await assembled.cache.aclose()


def _count(name: str) -> int | None:
    """The lines of a file; None where nobody can know before."""
    if name == "-":
        return None
    with opened(name) as (file, _):
        return sum(1 for _ in lines_of(file, lambda number, reason: None))


def _complain(number: int, reason: str) -> None:
    tqdm.write(f"line {number}: {reason}", file=sys.stderr)


def as_text(warmed: Warmed, *, dry: bool) -> str:
    """For people."""
    hits = warmed.exact + warmed.semantic
    lines = [f"{warmed.read:,} questions; {hits:,} had their answer already"]
    if dry:
        lines[0] += f"; {warmed.asked:,} would be asked"
    else:
        lines[0] += f"; {warmed.asked:,} were asked, {warmed.stored:,} answers are stored"
    lines += [f"not stored: {n:,} × {why}" for why, n in warmed.not_stored.most_common()]
    lines += [f"failed: {n:,} × {why}" for why, n in warmed.failed.most_common()]
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
