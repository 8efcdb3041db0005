"""May a new answer be stored, and until when? Pure; a refusal is a value with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache.directives import NONE, Directives
from semcache.embedding_items import is_embeddings
from semcache.policy_settings import PolicySettings
from semcache.responses import form

_FINISHED = frozenset({"stop", "tool_calls", "function_call"})


@dataclass(frozen=True, slots=True)
class Keep:
    """The answer may be stored, until `expires_at` (None: for good); the rest as in `Entry`."""

    expires_at: float | None
    stale_s: float | None = None
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """The answer must not be stored."""

    reason: str


Keeping: TypeAlias = Keep | Skip


def keep(
    completion: Completion,
    now: float,
    settings: PolicySettings,
    directives: Directives = NONE,
    request: ChatRequest | None = None,
) -> Keeping:
    """Decide whether an answer is whole and good enough to be given to somebody else.

    `request`: whose model and route may have a life of their own.
    """
    if completion.wire.get("error") is not None:
        return Skip("error")
    problem = _problem(completion)
    if problem is not None:
        return Skip(problem)
    if len(orjson.dumps(completion.wire)) > settings.max_entry_bytes:
        return Skip("too large")
    rule = None if request is None else settings.rule(request.model, request.route)
    life, stale_s = settings.ttl_s, None
    if rule is not None:
        life, stale_s = rule.ttl_s, rule.stale_while_revalidate_s
    lives = [ttl for ttl in (life, directives.ttl_s) if ttl is not None]
    return Keep(now + min(lives) if lives else None, stale_s)


def _problem(completion: Completion) -> str | None:
    if completion.is_response:
        return form.problem(completion.wire)
    if completion.is_embeddings:
        return None if is_embeddings(completion.wire) else "malformed"
    if not completion.choices:
        return "empty"
    return next(filter(None, map(_choice_problem, completion.choices)), None)


def _choice_problem(choice: dict[str, Any]) -> str | None:
    finish = choice.get("finish_reason")
    if finish == "length":
        return "truncated"
    if finish == "content_filter":
        return "filtered"
    if finish not in _FINISHED:
        return "unfinished"
    if "message" not in choice:
        return None if choice.get("text") else "empty"
    message = choice["message"]
    if message.get("refusal"):
        return "refused"
    calls = list(message.get("tool_calls") or ())
    if message.get("function_call"):
        calls.append({"type": "function", "function": message["function_call"]})
    if any(_is_broken_call(call) for call in calls):
        return "broken tool call"
    if calls or message.get("content") or message.get("audio"):
        return None
    return "empty"


def _is_broken_call(call: dict[str, Any]) -> bool:
    if call.get("type", "function") != "function":
        return False
    function = call.get("function") or {}
    try:
        orjson.loads(function.get("arguments") or "")
    except orjson.JSONDecodeError:
        return True
    return not function.get("name")
