"""`semcache import FILE`: stored answers from an export."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tqdm import tqdm

from semcache.assembly import make_private, open_embedder, open_store, read_secret
from semcache.commands.whose import key_in, tenant_of_key
from semcache.config import Config
from semcache.errors import RequestError
from semcache.transfer.header import installation_of
from semcache.transfer.importing import Importing, Report
from semcache.transfer.placing import Placing
from semcache.transfer.reading import lines_of, opened


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "import", help="store the answers of an export; run again, it goes on"
    )
    parser.add_argument("file", metavar="FILE", help="an export, packed or not; - for stdin")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad line")
    parser.add_argument("--tenant", metavar="DIGEST", help="only this tenant's entries")
    parser.add_argument(
        "--tenant-key-env",
        metavar="NAME",
        help="store them for the key in this environment variable, whoever had them",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 where every line was taken, 1 where some were not. Raises SemcacheError."""
    secret = read_secret(make_private(config.gptcache.data_dir))
    tenant = None
    if args.tenant_key_env is not None:
        tenant = tenant_of_key(key_in(args.tenant_key_env), config, secret)
    sketches = config.trust.verifier or config.trust.max_wrong_rate is not None
    embedder = open_embedder(config, _say, sketches=sketches)
    store = open_store(config, embedder, sketches=sketches)
    try:
        work = Importing(
            store,
            store.archive,
            embedder,
            config.policy_settings(),
            Placing(tenant, args.tenant),
            installation_of(secret),
            args.strict,
            lambda number, reason: tqdm.write(f"line {number}: {reason}", file=sys.stderr),
        )
        report = _all_lines(work, args.file)
    finally:
        store.close()
        if embedder is not None:
            embedder.close()
    print(json.dumps(report.as_json()) if args.json else as_text(report))
    return 1 if report.skipped else 0


def _all_lines(work: Importing, name: str) -> Report:
    with (
        opened(name) as (file, size),
        tqdm(total=size, desc="import", unit="B", unit_scale=True, disable=None) as bar,
    ):
        for number, line in lines_of(file, work.refuse):
            work.add(number, line)
            if size is not None:
                bar.update(file.tell() - bar.n)
        if work.header is None:
            raise RequestError("This is no export of semcache: it is empty.")
        return work.finish()


def as_text(report: Report) -> str:
    """For people."""
    lines = [
        f"{report.stored:,} stored, {report.there:,} were there already, "
        f"{report.skipped:,} not taken; {report.encoded:,} questions encoded"
    ]
    if report.by_meaning:
        lines.append(f"{report.by_meaning:,} are found by meaning only: their key cannot be made")
    lines += [f"not taken: {count:,} × {reason}" for reason, count in report.refused.most_common()]
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
