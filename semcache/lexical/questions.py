"""What a text asks for: who, when, how much …"""

from __future__ import annotations

import semcache.lexical.chinese as chinese
from semcache.lexical.scan import Token
from semcache.lexical.vocabulary import HOW, QUESTIONS, WHAT

_YES_OR_NO = frozenset(
    "is are was were do does did can could will would should shall may might must has have had am "
    "isn't "
    "aren't don't doesn't didn't can't couldn't won't wouldn't shouldn't".split()
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
                kind = _with_next(kind, tokens[at + 1].lower if at + 1 < len(tokens) else "")
        elif token.kind == "han":
            kind = chinese.QUESTIONS.get(token.text, "")
        if kind and kind not in found:
            found.append(kind)
    if not found and tokens and _asks_yes_or_no(tokens):
        return ("yes or no",)
    return tuple(found)


def _with_next(kind: str, following: str) -> str:
    return (HOW if kind == "how" else WHAT).get(following, kind)


def _asks_yes_or_no(tokens: list[Token]) -> bool:
    return tokens[0].lower in _YES_OR_NO or any(token.text in _FORMAL for token in tokens)
