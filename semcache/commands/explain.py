"""`semcache explain QUESTION`: why a question is answered from the cache, or is not."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import Any

from semcache.assembly import Assembled, build
from semcache.chat import read_question_body
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.explanation import explain


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "explain", help="why a question is answered from the cache, or is not"
    )
    parser.add_argument("question", metavar="QUESTION", help="the last user text; - for a request")
    parser.add_argument("--model", help="the model that is asked (the first that answers here)")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt")
    parser.add_argument(
        "--key-env", metavar="NAME", help="the environment variable with the API key of who asks"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0. Raises SemcacheError."""
    key = _key(args.key_env)
    body = _body(args)
    assembled = build(config, progress=_say)
    try:
        told = explained(assembled, body, key)
    finally:
        asyncio.run(assembled.cache.aclose())
    print(json.dumps(told, ensure_ascii=False) if args.json else as_text(told))
    return 0


def explained(assembled: Assembled, body: Any, key: str) -> dict[str, Any]:
    """The explanation of a request of the tenant with this key. Raises AuthenticationError."""
    door = assembled.doorkeeper
    tenant = assembled.tenant_of(key) if door is None else door.named(key)
    request = read_question_body(body, tenant=tenant, model=assembled.default_model)
    return explain(assembled.cache.layers, assembled.cache.plan(request))


def _key(name: str | None) -> str:
    if name is None:
        return ""
    key = os.environ.get(name, "")
    if not key:
        raise ConfigError(f"The environment variable '{name}' holds no key.")
    return key


def _body(args: argparse.Namespace) -> Any:
    if args.question == "-":
        try:
            return json.load(sys.stdin)
        except ValueError as error:
            raise ConfigError(f"Standard input holds no JSON request: {error}.") from None
    named = {} if args.model is None else {"model": args.model}
    if args.system is None:
        return {**named, "question": args.question}
    system = {"role": "system", "content": args.system}
    return {**named, "messages": [system, {"role": "user", "content": args.question}]}


def as_text(told: dict[str, Any]) -> str:
    """For people."""
    decision, key = told["decision"], told["key"]
    parts = ("tenant", "model", "context", "params", "source")
    outcome = decision["outcome"] + (f" ({decision['tier']})" if "tier" in decision else "")
    numbers = [
        f"{name} {decision[name]:.4f}"
        for name in ("similarity", "threshold", "nearest", "score")
        if decision.get(name) is not None
    ]
    said = [f"{outcome}: {decision['reason']}", *numbers]
    lines = [
        f"decision   {', '.join(said)}",
        f"key        {key['exact']}",
        f"scope      {', '.join(f'{name} {key[name]}' for name in parts)}",
        f"changes    {told['timeliness']['kind']}",
    ]
    exact, encoding = told["exact"], told["encoding"]
    if exact is not None:
        state = exact["refused"] or "may be served"
        lines.append(f"exact      entry {exact['entry_id']}, {exact['age_s']:.0f} s old: {state}")
    if encoding is not None and encoding["unfit"]:
        lines.append(f"semantic   not matched: {encoding['unfit']}")
    lines.extend(
        f"withdrawn  entry {one['entry_id']} was called wrong for this question "
        f"({one['state']}): {one['question']}"
        for one in told["withdrawn"]
    )
    for at, one in enumerate(told["candidates"], start=1):
        lines.extend(_candidate_lines(at, one))
    lines.extend(f"elsewhere  {one['said']}" for one in told["elsewhere"])
    return "\n".join(lines)


def _candidate_lines(at: int, one: dict[str, Any]) -> list[str]:
    said = one["refused"] or "left by gate and guards"
    lines = [
        f"{at:>2}. entry {one['entry_id']}, cosine {one['similarity']:.4f}, "
        f"GPTCache {one['gptcache_score']:.4f}: {said}",
        f"      {one['question']}",
    ]
    for veto in one["guards"]:
        off = "" if veto["on"] else " (off)"
        lines.append(f"      guard {veto['guard']}{off}: {veto['reason']}")
    verdict = one["verifier"]
    if verdict is not None:
        alone = ", judged alone" if verdict["alone"] else ""
        lines.append(f"      verifier {verdict['score']:.4f}: {verdict['reason']}{alone}")
        main = ", ".join(f"{name} {value:g}" for name, value in verdict["features"].items())
        lines.append(f"        {main}")
    return lines


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
