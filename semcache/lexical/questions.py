"""What a text asks for: who, when, how much …"""

from __future__ import annotations

import semcache.lexical.chinese as chinese
from semcache.lexical.scan import Token
from semcache.lexical.vocabulary import HOW, QUESTIONS, SPANS, WHAT

_YES_OR_NO = frozenset(
    "is are was were do does did can could will would should shall may might must has have had am "
    "isn't "
    "aren't don't doesn't didn't can't couldn't won't wouldn't shouldn't".split()
)
_ASKS_AFTER = frozenset(
    "and or but so then about know tell me us explain understand wonder wondering ask asking see "
    "say said exactly on of from for since hi hello hey please ok sure remember decide "
    "out check idea".split()
)
_TOLD_BY_NEXT = frozenset({"how", "what", "which"})
_FORMAL = frozenset(
    {"能不能", "是不是", "会不会", "可不可以", "有没有", "要不要", "能否", "是否", "可否", "吗"}
)


def questions_in(tokens: list[Token]) -> tuple[str, ...]:
    """Kinds of question, the first one first; `yes or no` if no question word is there."""
    found: list[str] = []
    for at, token in enumerate(tokens):
        kind = ""
        if token.kind == "word":
            kind = QUESTIONS.get(token.lower.removesuffix("'s"), "")
            if kind in _TOLD_BY_NEXT:
                kind = _with_next(kind, tokens, at)
            elif kind == "when":
                kind = _asked_when(tokens, at)
        elif token.kind == "han":
            kind = chinese.QUESTIONS.get(token.text, "")
        if kind and kind not in found:
            found.append(kind)
    if not found and tokens and _asks_yes_or_no(tokens):
        return ("yes or no",)
    return tuple(found)


def _with_next(kind: str, tokens: list[Token], at: int) -> str:
    following = tokens[at + 1].lower if at + 1 < len(tokens) else ""
    if following == "many":
        counted = [token.lower for token in tokens[at + 2 : at + 4]]
        if counted[:1] == ["times"]:
            return "how often"
        if not SPANS.isdisjoint(counted):
            return "how long"
    return (HOW if kind == "how" else WHAT).get(following, kind)


def _asked_when(tokens: list[Token], at: int) -> str:
    """`when` asks where a clause begins with it; after a noun it joins two (a shirt when worn)."""
    before = tokens[at - 1] if at else None
    if before is None or before.kind == "mark" or before.lower in _ASKS_AFTER:
        return "when"
    return "how soon" if before.lower in ("until", "till", "by") else ""


def _asks_yes_or_no(tokens: list[Token]) -> bool:
    return tokens[0].lower in _YES_OR_NO or any(token.text in _FORMAL for token in tokens)
