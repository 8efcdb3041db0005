"""What an admin asks for, read from a query string or a JSON body. Raises RequestError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from semcache.errors import RequestError
from semcache.selection import Condition, Selection

MOST_KEYS = 1000
MOST_ENTRIES = 200
MOST_TEXT = 4000
_ENTRIES = 50
_KEY_SHOWN = 32  # digits of a key in `x-semcache-key`
_DIGITS = frozenset("0123456789abcdef")
_TRUTHS = {"": True, "1": True, "true": True, "0": False, "false": False}
_MEANT = (
    "keys",
    "ids",
    "tenant",
    "model",
    "answerer",
    "namespace",
    "question",
    "older_than_s",
)
_CONDITIONS: Mapping[str, Condition] = {name: name for name in get_args(Condition)}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of entries."""

    wanted: Selection
    before: int | None
    most: int


@dataclass(frozen=True, slots=True)
class Invalidation:
    """What is to go."""

    wanted: Selection
    keys: tuple[str, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for by meaning."""

    question: str
    k: int
    tenant: str | None


def read_page(query: Mapping[str, str], now: float) -> Page:
    """`?tenant=&model=&answerer=&namespace=&state=&contains=&cursor=&limit=`."""
    known = ("tenant", "model", "answerer", "namespace", "state", "contains", "cursor", "limit")
    _require_known(query, known)
    state = query.get("state") or None
    if state is not None and state not in _CONDITIONS:
        raise RequestError("'state' must be fresh, stale or quarantined.", param="state")
    wanted = Selection(
        now,
        tenant=query.get("tenant") or None,
        model=query.get("model") or None,
        answerer=query.get("answerer") or None,
        namespace=query.get("namespace") or None,
        condition=None if state is None else _CONDITIONS[state],
        contains=query.get("contains") or None,
    )
    cursor, limit = query.get("cursor"), query.get("limit")
    return Page(
        wanted,
        None if not cursor else _whole("cursor", cursor, 1, 2**63 - 1),
        _ENTRIES if not limit else _whole("limit", limit, 1, MOST_ENTRIES),
    )


def read_invalidation(body: object, now: float) -> Invalidation:
    """`{keys, ids, tenant, model, namespace, question, older_than_s, answerer}`, one at least."""
    fields = _object(body, _MEANT)
    if not any(value is not None for value in fields.values()):
        message = "Say what is to go; to delete everything, POST /cache/flushall."
        raise RequestError(message)
    age = fields.get("older_than_s")
    if age is not None and (isinstance(age, bool) or not isinstance(age, int | float) or age < 0):
        raise RequestError("'older_than_s' must be a number of seconds.", param="older_than_s")
    wanted = Selection(
        now,
        tenant=_text(fields, "tenant"),
        model=_text(fields, "model"),
        answerer=_text(fields, "answerer"),
        namespace=_text(fields, "namespace"),
        question=_text(fields, "question"),
        created_before=None if age is None else now - age,
    )
    return Invalidation(wanted, _keys(fields.get("keys")), _ids(fields.get("ids")))


def read_keys(body: object) -> tuple[str, ...]:
    """LiteLLM's `{"keys": [...]}`."""
    return _keys(_object(body, ("keys",)).get("keys", ""))


def read_search(body: object) -> Search:
    """`{"question", "k"?, "tenant"?}`."""
    fields = _object(body, ("question", "k", "tenant"))
    question = _text(fields, "question")
    if question is None:
        raise RequestError("'question' must be a text that is not empty.", param="question")
    k = fields.get("k")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or not 0 < k <= 100):
        raise RequestError("'k' must be a whole number from 1 to 100.", param="k")
    return Search(question, k or 10, _text(fields, "tenant"))


def read_why(body: object) -> str | None:
    """`{"question"?}`."""
    return _text(_object(body, ("question",)), "question")


def read_dry_run(query: Mapping[str, str]) -> bool:
    """`?dry_run=true`; false where it is not said."""
    _require_known(query, ("dry_run",))
    said = query.get("dry_run", "false").lower()
    if said not in _TRUTHS:
        raise RequestError("'dry_run' must be true or false.", param="dry_run")
    return _TRUTHS[said]


def read_count(query: Mapping[str, str], name: str, most: int) -> int:
    """`?name=`, from 1 to `most`, which it is where it is not said."""
    _require_known(query, (name,))
    return _whole(name, query[name], 1, most) if query.get(name) else most


def _object(body: object, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise RequestError("The request body must be a JSON object.")
    _require_known(body, known)
    return body


def _require_known(fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            raise RequestError(f"Unknown field '{name}': {', '.join(known)}.", param=str(name))


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MOST_TEXT:
        message = f"'{name}' must be a text of 1 to {MOST_TEXT} characters."
        raise RequestError(message, param=name)
    return value


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise RequestError(f"'{name}' must be a whole number from {low} to {high}.", param=name)
    return int(text)


def _keys(value: object) -> tuple[str, ...]:
    return _listed(
        value,
        "keys",
        _is_key,
        f"keys, as in the header x-semcache-key: {_KEY_SHOWN} to 64 hex digits",
    )


def _is_key(value: object) -> bool:
    return isinstance(value, str) and _KEY_SHOWN <= len(value) <= 64 and _DIGITS.issuperset(value)


def _ids(value: object) -> tuple[int, ...]:
    return _listed(value, "ids", _is_id, "entry ids")


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


def _listed(value: object, name: str, fits: Callable[[object], bool], says: str) -> tuple[Any, ...]:
    """A list without repetitions, () for None."""
    if value is None:
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= MOST_KEYS or not all(map(fits, value)):
        raise RequestError(f"'{name}' must be a list of 1 to {MOST_KEYS} {says}.", param=name)
    return tuple(dict.fromkeys(value))
