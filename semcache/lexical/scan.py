"""From text to tokens: words, numbers, Chinese words, punctuation.

One regular expression walks the text once. Chinese is cut by longest match against the words that
this package knows; what no word covers comes as single characters.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import semcache.lexical.chinese as chinese
import semcache.lexical.opposites as opposites

WORDS = frozenset(word for word in chinese.KNOWN | opposites.CHINESE if len(word) > 1)
LONGEST = max(map(len, WORDS))
HAN = "\u3400-\u9fff"
_LETTERS = rf"[^\W\d_{HAN}]++(?:'[^\W\d_{HAN}]++)*+"
_TOKEN = re.compile(
    rf"(?P<plain>{_LETTERS}(?!-?\d))"
    r"|(?P<date>\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?![\d.])|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}(?!\d))"
    r"|(?P<time>\d{1,2}:\d{2}(?::\d{2})?(?!\d))"
    r"|(?P<version>[vV]\d+(?:\.\d+)*(?![A-Za-z\d])|\d+(?:\.\d+){2,})"
    r"|(?P<identifier>0[xX][\da-fA-F]+|[A-Za-z]\d[\w-]*[A-Za-z\d]|[A-Za-z]\d(?!\w)"
    r"|[A-Za-z]+-?\d+[A-Za-z_-][\w-]*[A-Za-z\d])"
    r"|(?P<number>(?:(?<![^\s$€£¥₹(=])-)?\d+(?:,\d{3})+(?:\.\d+)?|(?:(?<![^\s$€£¥₹(=])-)?\d+(?:\.\d+)?"
    r"|(?<![\w.])\.\d+)"
    rf"|(?P<word>{_LETTERS})"
    rf"|(?P<han>[{HAN}]+)"
    r"|(?P<mark>[^\w\s]|_)"
)
_KINDS = {at: name for name, at in _TOKEN.groupindex.items()} | {1: "word", 0: ""}
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "＇": "'", "`": "`"})


class Token(NamedTuple):
    """A piece of text. `glued`: nothing stands between it and the token before."""

    kind: str
    text: str
    lower: str
    start: int
    glued: bool


def normalised(text: str) -> str:
    """Compatibility forms unified (full-width digits, ℃, ㎎), one kind of apostrophe."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).translate(_APOSTROPHES)


def tokens(text: str) -> list[Token]:
    """The tokens of a normalised text, in order."""
    found: list[Token] = []
    end = -1
    for match in _TOKEN.finditer(text):
        kind, piece, start = _KINDS[match.lastindex or 0], match.group(), match.start()
        if kind == "han":
            _cut(piece, start, start == end, found)
        else:
            found.append(Token(kind, piece, piece.lower(), start, start == end))
        end = start + len(piece)
    return found


def _cut(run: str, start: int, glued: bool, found: list[Token]) -> None:
    at = 0
    while at < len(run):
        size = next(
            (n for n in range(min(LONGEST, len(run) - at), 1, -1) if run[at : at + n] in WORDS), 1
        )
        word = run[at : at + size]
        found.append(Token("han", word, word, start + at, glued or at > 0))
        at += size
