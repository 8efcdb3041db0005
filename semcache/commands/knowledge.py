"""`semcache knowledge build | add | remove | list | search`: the documents to answer from."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from semcache.config import Config
from semcache.documents import open_documents
from semcache.errors import ConfigError
from semcache.installation import make_private, open_embedder

if TYPE_CHECKING:
    from semcache.interfaces import Found
    from semcache.knowledge.library import Library

_SHOWN_CHARS = 300


def add(commands: Any) -> list[argparse.ArgumentParser]:
    """The command's own commands and their options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "knowledge", help="read, list and search the documents to answer from"
    )
    each = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    build = each.add_parser("build", help="read what is new or has changed; goes on where it was")
    more = each.add_parser("add", help="documents or folders from elsewhere")
    less = each.add_parser("remove", help="leave documents or folders out")
    listed = each.add_parser("list", help="the documents, their passages and their problems")
    search = each.add_parser("search", help="the passages for a question")
    for one in (more, less):
        one.add_argument("paths", type=Path, nargs="+", metavar="PATH")
    search.add_argument("question", metavar="QUESTION")
    search.add_argument("-k", type=int, default=4, help="how many passages (4)")
    parsers = [build, more, less, listed, search]
    for one in parsers:
        one.add_argument("--knowledge", type=Path, metavar="FOLDER", help="the folder of documents")
        one.add_argument("--json", action="store_true", help="print JSON instead")
    return parsers


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0; 1 where a document cannot be read or nothing is found. Raises SemcacheError."""
    actions = {"build": _build, "add": _add, "remove": _remove, "list": _list, "search": _search}
    with _opened(config) as library:
        return actions[args.action](args, library)


@contextmanager
def _opened(config: Config) -> Iterator[Library]:
    directory = make_private(config.gptcache.data_dir)
    embedder = open_embedder(config, _say)
    library = None
    try:
        cores = os.cpu_count() or 1
        library = open_documents(config, directory, embedder, _say, threads=cores)
        library.use_last_folder()
        yield library
    finally:
        if library is not None:
            library.close()
        if embedder is not None:
            embedder.close()


def _build(args: argparse.Namespace, library: Library) -> int:
    problems: dict[str, str] = {}
    changed: dict[str, int] = {}
    with tqdm(unit=" documents", disable=None) as bar:
        for step in library.steps():
            bar.total = step.total
            bar.set_postfix_str(step.name[-40:], refresh=False)
            bar.update(step.done - bar.n)
            if step.problem is not None:
                problems[step.name] = step.problem
            if step.changed and step.problem is None:
                changed[step.name] = step.of_passages
    known = library.catalog.known().values()
    if not known and args.action != "remove":
        raise ConfigError("There is no document: name a folder, or 'semcache knowledge add FILE'.")
    told = {
        "documents": len(known),
        "passages": sum(one.passages for one in known),
        "read": len(changed),
        "passages_read": sum(changed.values()),
        "problems": problems,
    }
    print(json.dumps(told, ensure_ascii=False) if args.json else _summary(told))
    return 1 if problems else 0


def _summary(told: dict[str, Any]) -> str:
    lines = [
        f"{told['documents']:,} documents, {told['passages']:,} passages; "
        f"{told['read']:,} documents were new or had changed"
    ]
    lines += [f"cannot be read: {problem}" for problem in told["problems"].values()]
    return "\n".join(lines)


def _add(args: argparse.Namespace, library: Library) -> int:
    for path in args.paths:
        library.add(path)
    return _build(args, library)


def _remove(args: argparse.Namespace, library: Library) -> int:
    for path in args.paths:
        library.remove(path)
    return _build(args, library)


def _list(args: argparse.Namespace, library: Library) -> int:
    known = list(library.catalog.known().values())
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in known], ensure_ascii=False))
        return 0
    for one in known:
        problem = "" if one.problem is None else f"  cannot be read: {one.problem}"
        print(f"{one.passages:7,}  {one.name}{problem}")
    print(f"{sum(one.passages for one in known):7,}  passages of {len(known):,} documents")
    return 0


def _search(args: argparse.Namespace, library: Library) -> int:
    if args.k < 1:
        raise ConfigError("'-k' must be at least 1.")
    found = library.state().search(args.question, args.k)
    if args.json:
        print(json.dumps([dataclasses.asdict(one) for one in found], ensure_ascii=False))
    elif not found:
        print("No passage has anything of this question; see 'semcache knowledge list'.")
    for at, one in enumerate(() if args.json else found, start=1):
        print(_shown(at, one))
    return 0 if found else 1


def _shown(at: int, one: Found) -> str:
    passage = one.passage
    place = f"{passage.document} > {passage.heading}" if passage.heading else passage.document
    cosine = "" if one.cosine is None else f", cosine {one.cosine:.4f}"
    text = " ".join(passage.text.split())
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]} …"
    return f"{at:>2}. score {one.score:.4f}{cosine}  {place}\n    {shown}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
