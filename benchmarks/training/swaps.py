"""Traps made from ordinary questions: one thing is exchanged, and the answer is another.

Every swap takes a question and returns the changed one with the class of the trap, or None where
the question has nothing to exchange.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache

from benchmarks.training import wordings, words

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-zA-Z]+(?: [A-Z][a-zA-Z]+)*")
_APART = 4  # letters between two words that change places: not neighbours
_ANY_NAME = re.compile(r"(?<= )[A-Z][a-zA-Z]+(?: [A-Z][a-zA-Z]+)*")
_JOINS = re.compile(r"\b(?:and|or|vs)\b|[,/&]|\bversus\b")
_WORD = re.compile(r"[a-z]{4,}")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|could|should|would|will|do|does|did|must|may)\b( (?:I|you|we|they|it"
    r"|he|she|people|someone|a \w+|the \w+|my \w+|one)\b)?",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(not|never)\b |n't\b", re.IGNORECASE)
_DIRECTIONS = (
    re.compile(r"\bfrom (?P<a>[\w.+#-]+(?: [A-Z]\w+)?) to (?P<b>[\w.+#-]+(?: [A-Z]\w+)?)"),
    re.compile(r"\b(?P<a>[\w.+#-]+) (?:better|worse|faster|slower|cheaper|bigger|older|more \w+)"
               r" than (?P<b>[\w.+#-]+)"),
    re.compile(r"\b[Cc]onvert (?:an? )?(?P<a>[\w.+#-]+) (?:in)?to (?:an? )?(?P<b>[\w.+#-]+)"),
    re.compile(r"\b(?P<a>[\w.+#-]+) (?:before|after|instead of|without|causes?|into)"
               r" (?P<b>[\w.+#-]+)"),
)  # fmt: skip
_OPENERS = (
    ("How do I ", "Why should I ", "When should I ", "Who can ", "How much does it cost to "),
    ("How can I ", "Why would I ", "Where can I ", "When can I "),
    ("Where can ", "When can ", "How can ", "Why can "),
    ("Why is ", "Where is ", "How is ", "Since when is ", "Who is "),
    ("Why do ", "How do ", "When do ", "Where do "),
    ("What is ", "Who invented ", "Where is ", "How old is ", "How much is ", "When was "),
    ("How long ", "How often ", "How far "),
    ("How many ", "Which ", "What kind of "),
    ("Who is ", "Where is ", "How old is "),
    ("What are the symptoms of ", "What causes ", "What is the treatment for "),
    ("What are the benefits of ", "What are the side effects of ", "What is the price of "),
    ("Who wrote ", "When was ", "What happens in "),
)

Swap = Callable[[str], str | None]


class Swapper:
    """Swaps with one random source and one part of the word lists; `corpus` lends content words."""

    def __init__(self, rng: random.Random, corpus: Sequence[str], *, held_out: bool) -> None:
        self._rng = rng
        self._opposites = [
            tuple(line.split("|")) for line in words.part(words.OPPOSITES, held_out=held_out)
        ]
        self._qualifiers = words.part(wordings.QUALIFIERS, held_out=held_out)
        self._names: list[str] = sorted({name for text in corpus for name in _NAME.findall(text)})
        words_of = {word for text in corpus[:4000] for word in _WORD.findall(text)}
        self._content: list[str] = sorted(words_of)
        self._swaps: dict[str, Swap] = {
            "number": self.number,
            "unit": lambda text: self._of_kind(text, words.UNITS),
            "entity": self.entity,
            "negation": self.negation,
            "antonym": self.antonym,
            "direction": self.direction,
            "time": lambda text: self._of_kind(text, words.TIMES),
            "qualifier": self.qualifier,
            "question_word": self.question_word,
            "content": self.content,
        }

    def any_of(self, text: str) -> tuple[str, str] | None:
        """(changed question, class of trap), rarer classes preferred; None if nothing applies."""
        common = ["content", "qualifier"]
        rare = [name for name in self._swaps if name not in common]
        self._rng.shuffle(rare)
        self._rng.shuffle(common)
        order = common + rare if self._rng.random() < 0.25 else rare + common
        for name in order:
            changed = self._swaps[name](text)
            if changed is not None and changed.lower() != text.lower():
                return changed, name
        return None

    def number(self, text: str) -> str | None:
        """Another number in place of one."""
        found = list(_NUMBER.finditer(text))
        if not found:
            return None
        match = self._rng.choice(found)
        old = float(match[0])
        year = 1900 <= old <= 2100 and "." not in match[0]
        steps = (-5, -2, -1, 1, 2, 3) if year else (1, 2, 5, 10, 50)
        new = old + self._rng.choice(steps)
        if not year and self._rng.random() < 0.5:
            new = old * self._rng.choice((2, 3, 5, 10))
        shown = f"{new:.1f}" if "." in match[0] else f"{int(new)}"
        return text[: match.start()] + shown + text[match.end() :]

    def entity(self, text: str) -> str | None:
        """Another name of the same kind, or any name in place of a name."""
        of_kind = self._of_kind(text, words.KINDS)
        if of_kind is not None:
            return of_kind
        found = list(_NAME.finditer(text))
        if not found or not self._names:
            return None
        match = self._rng.choice(found)
        return text[: match.start()] + self._rng.choice(self._names) + text[match.end() :]

    def negation(self, text: str) -> str | None:
        """Add a negation, or take it away."""
        if _NEGATED.search(text):
            return _NEGATED.sub("", text, count=1)
        found = _AUXILIARY.search(text)
        if found is None:
            return None
        return f"{text[: found.end()]} not{text[found.end() :]}"

    def antonym(self, text: str) -> str | None:
        """The opposite of a word."""
        return self._exchange(text, self._opposites)

    def direction(self, text: str) -> str | None:
        """From A to B becomes from B to A."""
        for pattern in _DIRECTIONS:
            match = pattern.search(text)
            if match and match["a"].lower() != match["b"].lower():
                (a, b), (c, d) = match.span("a"), match.span("b")
                return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]
        return None

    def places(self, text: str) -> str | None:
        """Two names, or else two content words that no `and` or `or` joins, change places."""
        found = [match for match in _ANY_NAME.finditer(text) if match.start()]
        if len(found) < 2:
            found = [match for match in _WORD.finditer(text) if match[0] not in _FUNCTION]
        pairs = [
            (one, other)
            for at, one in enumerate(found)
            for other in found[at + 1 :]
            if one[0] != other[0]
            and other.start() - one.end() >= _APART
            and not _JOINS.search(text, one.end(), other.start())
        ]
        if not pairs:
            return None
        one, other = self._rng.choice(pairs)
        between = text[one.end() : other.start()]
        return text[: one.start()] + other[0] + between + one[0] + text[other.end() :]

    def qualifier(self, text: str) -> str | None:
        """Ask for a special case."""
        bare = text.rstrip(" ?.!")
        return f"{bare} {self._rng.choice(self._qualifiers)}{text[len(bare) :]}"

    def question_word(self, text: str) -> str | None:
        """Ask something else about the same thing."""
        for openers in _OPENERS:
            for opener in openers:
                if text.startswith(opener):
                    others = [one for one in openers if one != opener]
                    return self._rng.choice(others) + text[len(opener) :]
        return None

    def content(self, text: str) -> str | None:
        """One content word becomes any other."""
        found = [match for match in _WORD.finditer(text) if match[0] not in _FUNCTION]
        if not found or not self._content:
            return None
        match = self._rng.choice(found)
        return text[: match.start()] + self._rng.choice(self._content) + text[match.end() :]

    def _of_kind(self, text: str, kinds: Sequence[Sequence[str]]) -> str | None:
        options = []
        for kind in kinds:
            for word in kind:
                match = _whole(word).search(text) if word in text else None
                if match:
                    options.append((match, [other for other in kind if other != word]))
        if not options:
            return None
        match, others = self._rng.choice(options)
        return text[: match.start()] + self._rng.choice(others) + text[match.end() :]

    def _exchange(self, text: str, pairs: Sequence[Sequence[str]]) -> str | None:
        options = []
        for one, other in pairs:
            for word, into in ((one, other), (other, one)):
                match = _whole(word).search(text) if word in text else None
                if match:
                    options.append((match, into))
        if not options:
            return None
        match, into = self._rng.choice(options)
        return text[: match.start()] + into + text[match.end() :]


@cache
def _whole(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w+#]){re.escape(word)}(?![\w+#])")


_FUNCTION = frozenset(
    "what when where which whom whose that this these those there their them they then than with "
    "from into onto over under about after before between through during without have does doing "
    "been being were will would could should might must your yours ours mine have some such only "
    "very much many more most less least just also even ever like want need know tell make made "
    "best good better".split()
)
