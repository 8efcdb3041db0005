"""What must be taken letter by letter: code, URLs, addresses, file names, flags, quoted strings."""

from __future__ import annotations

import re

_MAYBE = re.compile(r"[`@\\_={}<>|&#+]|\w[./]\w|\w\(\)|--?\w")
_MARKS = frozenset("`@\\_={}<>|&#+./(-")  # without one of them `_MAYBE` finds nothing
_LITERAL = re.compile(
    r"`+(?P<code>[^`]+)`+"
    r"|(?P<url>(?:https?://|www\.)[^\s<>\"'，。]+)"
    r"|(?P<address>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<path>(?<![\w/])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.-]+(?:[/\\][\w.-]+)*)"
    r"|(?P<file>\b[\w-]+(?:\.[\w-]+)*\.(?:py|js|ts|jsx|tsx|java|kt|rs|go|rb|php|cpp|hpp|cs|sh|sql|html|css"
    r"|csv|tsv|json|jsonl|ya?ml|toml|xml|ini|cfg|conf|log|txt|md|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg"
    r"|mp[34]|wav|zip|tar|gz|exe|dll|iso|apk|ipynb|env)\b)"
    r"|(?P<domain>\b(?:[\w-]+\.)+(?:com|org|net|io|dev|gov|edu|co|cn|de|uk)\b)"
    r"|(?P<flag>(?<![\w-])--?[A-Za-z][\w-]*)"
    r"|(?P<call>\b[A-Za-z_][\w.]*\(\))"
    r"|(?P<name>\b[A-Za-z]+(?:_[A-Za-z\d]+)+\b|\b[cCfF](?:\+\+|\#))"
    r"|(?P<operator>===|!==|==|!=|<=|>=|&&|\|\||\+\+|\+=|-=|=>|->|<<|>>|\*\*)"
)
_QUOTED = re.compile(
    r"\"+([^\"]{1,120})\"+|“([^“”]{1,120})”|「([^」]{1,120})」|『([^』]{1,120})』|《([^》]{1,120})》"
)
_QUOTES = re.compile(r"[\"“「『《]")
_TRAILING = ".,;:!?"


def literals(text: str) -> frozenset[str]:
    """Code, URLs, addresses, paths, file names, flags, calls, identifiers and operators."""
    if _MARKS.isdisjoint(text) or _MAYBE.search(text) is None:
        return frozenset()
    return frozenset(map(_literal, _LITERAL.finditer(text)))


def quotes(text: str) -> frozenset[str]:
    """Quoted strings, in lower case, without the marks."""
    if _QUOTES.search(text) is None:
        return frozenset()
    found = (next(filter(None, groups), "") for groups in _QUOTED.findall(text))
    return frozenset(" ".join(piece.lower().split()).strip(_TRAILING) for piece in found) - {""}


def _literal(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    piece = _trimmed(str(match.group(kind or 0)).strip())
    if kind in ("call", "name"):  # at the start of a sentence they are written with a capital
        return piece[:1].lower() + piece[1:]
    return piece


def _trimmed(piece: str) -> str:
    without = piece.rstrip(_TRAILING + ("" if "(" in piece else ")"))
    return without or piece
