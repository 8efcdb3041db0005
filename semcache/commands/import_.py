"""`semcache import FILE`: stored answers from an export, or from another cache."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from semcache.assembly import build
from semcache.commands.installation import opened_installation, wants_sketches
from semcache.commands.whose import key_in, tenant_asking
from semcache.config import Config
from semcache.directives import ONLY_IF_CACHED
from semcache.errors import ConfigError, RequestError
from semcache.installation import open_embedder
from semcache.interfaces import Embedder
from semcache.transfer.bulk import Bulk, Report
from semcache.transfer.foreign import Adopting
from semcache.transfer.gptcache_folder import GptcacheFolder
from semcache.transfer.header import installation_of
from semcache.transfer.importing import Importing
from semcache.transfer.litellm_dump import foreign_of
from semcache.transfer.placing import Placing
from semcache.transfer.reading import lines_of, opened

if TYPE_CHECKING:
    from semcache.store import LocalStore


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "import", help="store the answers of an export, or of another cache; run again, it goes on"
    )
    parser.add_argument("file", metavar="FILE", help="an export, packed or not; - for stdin")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("gptcache", "litellm"),
        help="FILE is GPTCache's directory, or JSON lines of LiteLLM's semantic cache",
    )
    parser.add_argument("--strict", action="store_true", help="stop at the first bad line")
    parser.add_argument("--tenant", metavar="DIGEST", help="only this tenant's entries")
    parser.add_argument(
        "--tenant-key-env",
        metavar="NAME",
        help="store them for the key in this environment variable, whoever had them",
    )
    parser.add_argument("--model", help="with --from: the model that was asked")
    parser.add_argument("--system", metavar="TEXT", help="with --from: the system prompt of all")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 where every line was taken, 1 where some were not. Raises SemcacheError."""
    if args.kind is None and (args.model is not None or args.system is not None):
        raise ConfigError("'--model' and '--system' go with '--from': an export says them itself.")
    if args.kind is not None and args.tenant is not None:
        raise ConfigError("'--tenant' picks entries of an export: leave it out with '--from'.")
    report = _of_export(args, config) if args.kind is None else _of_others(args, config)
    print(json.dumps(report.as_json()) if args.json else as_text(report))
    return 1 if report.skipped else 0


def _bulk(
    args: argparse.Namespace, config: Config, store: LocalStore, embedder: Embedder | None
) -> Bulk:
    settings = config.policy_settings()
    return Bulk(store, store.archive, embedder, settings, args.strict, _complain)


def _complain(number: int, reason: str) -> None:
    tqdm.write(f"line {number}: {reason}", file=sys.stderr)


def _of_export(args: argparse.Namespace, config: Config) -> Report:
    embedder = open_embedder(config, _say, sketches=wants_sketches(config))
    try:
        with opened_installation(config, args.tenant_key_env, embedder) as here:
            bulk = _bulk(args, config, here.store, embedder)
            placing = Placing(here.tenant, args.tenant)
            work = Importing(bulk, placing, installation_of(here.secret), here.journal)
            with opened(args.file) as (file, size), _bar(size) as bar:
                for number, line in lines_of(file, bulk.refuse):
                    work.add(number, line)
                    bar.update(file.tell() - bar.n if size is not None else len(line))
                return work.finish()
    finally:
        if embedder is not None:
            embedder.close()


def _of_others(args: argparse.Namespace, config: Config) -> Report:
    """What another cache has stored, placed as the requests of one tenant."""
    if args.kind == "litellm" and args.model is None:
        raise ConfigError("LiteLLM does not note which model was asked: name it with '--model'.")
    folder = GptcacheFolder(Path(args.file)) if args.kind == "gptcache" else None
    key = "" if args.tenant_key_env is None else key_in(args.tenant_key_env)
    assembled = build(config, progress=_say)
    try:
        cache, tenant = assembled.cache, tenant_asking(assembled, key)
        store: Any = cache.layers.store
        bulk = _bulk(args, config, store, cache.layers.embedder)
        model = args.model or assembled.default_model
        work = Adopting(
            bulk, lambda asked: cache.plan(asked, ONLY_IF_CACHED), tenant, model, args.system
        )
        if folder is not None:
            return _of_gptcache(folder, work)
        return _of_litellm(args, work)
    finally:
        asyncio.run(assembled.cache.aclose())


def _of_gptcache(folder: GptcacheFolder, work: Adopting) -> Report:
    report = work.bulk.report

    def note(what: str, count: int) -> None:
        report.notes[what] += count

    with tqdm(total=folder.count, desc="import", unit=" questions", disable=None) as bar:
        for one in folder.read(note, work.bulk.refuse):
            if one is not None:
                work.add(one)
            bar.update()
    return work.bulk.finish()


def _of_litellm(args: argparse.Namespace, work: Adopting) -> Report:
    now, bulk = time.time(), work.bulk
    with opened(args.file) as (file, size), _bar(size) as bar:
        for number, line in lines_of(file, bulk.refuse):
            bar.update(file.tell() - bar.n if size is not None else len(line))
            if not line.strip():
                continue
            try:
                one = foreign_of(number, line, args.system, now)
            except RequestError as error:
                bulk.refuse(number, error.message)
            else:
                work.add(one)
    return bulk.finish()


def _bar(size: int | None) -> Any:
    return tqdm(total=size, desc="import", unit="B", unit_scale=True, disable=None)


def as_text(report: Report) -> str:
    """For people."""
    lines = [
        f"{report.stored:,} stored, {report.there:,} were there already, "
        f"{report.skipped:,} not taken; {report.encoded:,} questions encoded"
    ]
    if report.by_meaning:
        lines.append(f"{report.by_meaning:,} are found by meaning only: their key cannot be made")
    lines += [f"not taken: {count:,} × {reason}" for reason, count in report.refused.most_common()]
    lines += [f"left out: {count:,} {what}" for what, count in report.notes.items() if count]
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
