"""Paraphrases made by rule: a question said in another way, with the same answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from benchmarks.training import wordings, words

Phrasing = Callable[[str], str]

_HOW_DO = re.compile(r"^How (?:do|can|should) (?:I|you|we|one) (?P<do>.+?)\??$")
_WHAT_IS = re.compile(r"^What is (?P<thing>(?:an? |the )?[\w .'-]{2,60}?)\??$")
_DIFFER = re.compile(r"^What is the difference between (?P<a>[^?]+?) and (?P<b>[^?]+?)\??$")
_WHY = re.compile(r"^Why (?P<be>is|are) (?P<rest>[^?]+?)\??$")
_ARE_THE = re.compile(
    r"^What (?:are|is) (?:the |some )(?P<what>\w+(?: \w+)?) of (?P<thing>[^?]+?)\??$"
)
_FRONTED = re.compile(
    r"^(?P<rest>[A-Z][^?]+?) (?P<where>(?:in|on|for|using|with) [\w.+# ]{2,20})\?$"
)
_JOINED = re.compile(
    r"\b(?P<lead>between|of|are|about|like|for) (?P<a>[A-Za-z]\w{3,})(?P<by> and | or )"
    r"(?P<b>[A-Za-z]\w{3,})(?=[?,.]| (?:in|on|for|when|if|have|has|with)\b)"
)
_DO_FORMS = (
    "What is the best way to {do}?",
    "How can I {do}?",
    "How do you {do}?",
    "Can you tell me how to {do}?",
    "What steps do I take to {do}?",
    "how to {do}",
    "I want to {do}, how do I do that?",
    "What should I do to {do}?",
    "Is there a way to {do}? If so, how?",
    "Could you walk me through how to {do}?",
    "I need to {do}. How?",
    "What's the way to {do}?",
)
_THING_FORMS = (
    "Can you explain what {thing} is?",
    "What exactly is {thing}?",
    "Tell me what {thing} is.",
    "{thing}?",
    "what's {thing}",
    "Could you tell me what {thing} is?",
    "I would like to know what {thing} is.",
    "Do you know what {thing} is?",
)
_DIFFER_FORMS = (
    "How do {a} and {b} differ?",
    "What's the difference between {b} and {a}?",
    "{a} vs {b}: what is the difference?",
    "How is {a} different from {b}?",
    "Explain how {a} differs from {b}.",
    "How does {b} differ from {a}?",
)
_ATTRIBUTE_FORMS = ("{thing} {what}", "Can you list the {what} of {thing}?", "{what} of {thing}")
_KEYBOARD = "abcdefghijklmnopqrstuvwxyz"
_DROPPED = frozenset(
    "a an the is are do does did i you we to of can how what my in for please be".split()
)
_CONTRACTIONS = (
    ("What is", "What's"), ("What is", "whats"), ("do not", "don't"), ("cannot", "can't"),
    ("I am", "I'm"), ("is not", "isn't"), ("does not", "doesn't"), ("How is", "How's"),
    ("you", "u"), ("are", "r"), ("the ", "teh "), ("with ", "wiht "), ("Who is", "Who's"),
)  # fmt: skip


class Phraser:
    """Says a question in another way; the answer stays."""

    def __init__(self, rng: random.Random, *, held_out: bool) -> None:
        self._rng = rng
        self._openings = words.part(wordings.OPENINGS, held_out=held_out)
        self._closings = words.part(wordings.CLOSINGS, held_out=held_out)
        self._synonyms = [
            line.split("|") for line in words.part(wordings.SYNONYMS, held_out=held_out)
        ]
        self._ways: dict[str, Phrasing] = {
            "rewritten": self.rewritten,
            "synonym": self.synonym,
            "politeness": self.polite,
            "typo": self.typo,
            "bare": self.bare,
            "contraction": self.contraction,
            "word_order": self.fronted,
            "keywords": self.keywords,
        }

    def again(self, text: str) -> tuple[str, str]:
        """(the question in other words, the name of what was done); a rewrite is preferred."""
        names = list(self._ways)
        self._rng.shuffle(names)
        if self._rng.random() < 0.5:
            names.sort(key=lambda name: name != "rewritten")
        done, changed = "", text
        for name in names:
            new = self._ways[name](changed)
            if new != changed:
                done, changed = done or name, new
                if self._rng.random() < 0.55:
                    break
        return changed, done or "same"

    def rewritten(self, text: str) -> str:
        """Another form of the question."""
        for pattern, forms in (
            (_DIFFER, _DIFFER_FORMS),
            (_HOW_DO, _DO_FORMS),
            (_ARE_THE, _ATTRIBUTE_FORMS),
            (_WHAT_IS, _THING_FORMS),
        ):
            match = pattern.match(text)
            if match:
                return self._rng.choice(forms).format(**match.groupdict())
        why = _WHY.match(text)
        if why:
            form = self._rng.choice(
                ("What is the reason {rest} {be} so?", "Why exactly {be} {rest}?")
            )
            return text if form.startswith("What") else form.format(**why.groupdict())
        return text

    def synonym(self, text: str) -> str:
        """One word becomes a synonym."""
        options = []
        for one, other in self._synonyms:
            for word, into in ((one, other), (other, one)):
                if word in text and re.search(rf"\b{word}\b", text):
                    options.append((word, into))
        if not options:
            return text
        word, into = self._rng.choice(options)
        return re.sub(rf"\b{word}\b", into, text, count=1)

    def polite(self, text: str) -> str:
        """Greet, thank, or say why it is asked."""
        if self._rng.random() < 0.6:
            opening = self._rng.choice(self._openings)
            text = f"{opening} {text[:1].lower() + text[1:] if opening[-1] in ',:' else text}"
        if self._rng.random() < 0.5:
            text = f"{text} {self._rng.choice(self._closings)}"
        return text

    def typo(self, text: str) -> str:
        """One or two slips inside words of at least four letters."""
        for _ in range(self._rng.choice((1, 1, 2))):
            found = list(re.finditer(r"[a-z]{4,}", text))
            if not found:
                return text
            match = self._rng.choice(found)
            text = text[: match.start()] + self._slip(match[0]) + text[match.end() :]
        return text

    def bare(self, text: str) -> str:
        """Lower case, no marks at the end."""
        return text.lower().rstrip("?.! ")

    def contraction(self, text: str) -> str:
        """Shortened forms."""
        options = [pair for pair in _CONTRACTIONS if re.search(rf"\b{pair[0]}", text)]
        if not options:
            return text
        long, short = self._rng.choice(options)
        end = r"\b" if long[-1] != " " else ""
        return re.sub(rf"\b{long}{end}", short, text, count=1)

    def fronted(self, text: str) -> str:
        """How do I sort in Python? becomes: In Python, how do I sort?"""
        match = _FRONTED.match(text)
        if match is None:
            return text
        where, rest = match["where"], match["rest"]
        return f"{where[:1].upper()}{where[1:]}, {rest[:1].lower()}{rest[1:]}?"

    def turned(self, text: str) -> str:
        """Cats and dogs becomes: dogs and cats."""
        return _JOINED.sub(r"\g<lead> \g<b>\g<by>\g<a>", text, count=1)

    def keywords(self, text: str) -> str:
        """As typed into a search box; only for short questions."""
        kept = [word for word in re.findall(r"[\w'.+#-]+", text) if word.lower() not in _DROPPED]
        return " ".join(kept).lower() if 2 <= len(kept) <= 7 else text

    def _slip(self, word: str) -> str:
        at = self._rng.randrange(1, len(word) - 1)
        kind = self._rng.randrange(4)
        if kind == 0:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if kind == 1:
            return word[:at] + word[at + 1 :]
        if kind == 2:
            return word[:at] + word[at] + word[at:]
        return word[:at] + self._rng.choice(_KEYBOARD) + word[at + 1 :]
