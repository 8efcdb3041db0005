"""The language of a text, as far as its script and its most frequent words tell."""

from __future__ import annotations

import re

from semcache.lexical.scan import Token
from semcache.lexical.vocabulary import EMPTY, TONGUES

_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u3400-\u9fff]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
)
_MIN_VOTES = 2


def tongue_of(text: str, tokens: list[Token]) -> str:
    """A language code (ISO 639-1), or "" where nothing tells: English needs a function word."""
    words = [token.lower for token in tokens if token.kind == "word"]
    if not text.isascii():
        letters = sum(map(len, words)) or 1
        for code, script in _SCRIPTS:
            found = len(script.findall(text))
            if found and (code in ("ja", "ko", "zh") or found > letters / 2):
                return code
    english = sum(map(EMPTY.__contains__, words))
    if 2 * english >= len(words) > 0:
        return "en"
    votes = {code: sum(word in frequent for word in words) for code, frequent in TONGUES.items()}
    best = max(votes, key=lambda code: votes[code])
    if votes[best] >= _MIN_VOTES and votes[best] > english:
        return best
    return "en" if english else ""
