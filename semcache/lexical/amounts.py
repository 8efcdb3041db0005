"""Numbers with their units, dates, times, versions and identifiers, in one canonical form each.

1k, 1,000 and one thousand are one number; 0.4 mg and 400 mcg are one amount; 5 March 2024,
March 5th, 2024 and 2024-03-05 are one date; 3pm and 15:00 are one time.
"""

from __future__ import annotations

import semcache.lexical.chinese as chinese
import semcache.lexical.measures as measures
from semcache.lexical.dates import HALF_DAYS, SUFFIXES, Amount, Amounts, DateReader
from semcache.lexical.measures import Unit
from semcache.lexical.scan import Token
from semcache.lexical.vocabulary import MONTHS


def read(tokens: list[Token]) -> Amounts:
    """All amounts of a text."""
    return _Reader(tokens).run()


_TELLING = frozenset(
    {"noon", "midnight", *MONTHS, *measures.ONES, *measures.POWERS, *measures.ORDINALS}
    | {*measures.ZONES, *measures.UNITS}
)


class _Reader(DateReader):
    def run(self) -> Amounts:
        at = 0
        while at < len(self.tokens):
            at = max(at + 1, self._one(at))
        return self.found

    def _one(self, at: int) -> int:
        """Read what starts at a token; where to go on."""
        token = self.tokens[at]
        if token.kind == "word":
            return self._word(at, token) if token.lower in _TELLING else at + 1
        if token.kind == "number":
            return self._number(at, float(token.text.replace(",", "")), at + 1, token.text)
        if token.kind == "han":
            return self._han(at, token)
        if token.kind == "mark":
            return self._mark(at, token)
        self.found.used.add(at)
        getattr(self, f"_{token.kind}")(at, token)
        return at + 1

    # ------------------------------------------------------------------ single tokens

    def _identifier(self, at: int, token: Token) -> None:
        self.found.identifiers.append(token.lower.replace("-", ""))

    def _version(self, at: int, token: Token) -> None:
        self.found.versions.append(token.lower.removeprefix("v"))

    def _mark(self, at: int, token: Token) -> int:
        if token.text in measures.SYMBOLS and self._kind(at + 1) == "number":
            self.found.used.add(at)
            text = self.tokens[at + 1].text
            value, end = self._powers(float(text.replace(",", "")), at + 2)
            self._add(
                value, measures.UNITS[token.text], "".join(t.text for t in self.tokens[at:end])
            )
            return self._use(at, end)
        return at + 1

    # ------------------------------------------------------------------ words

    def _word(self, at: int, token: Token) -> int:
        word = token.lower
        if word in MONTHS:
            return self._month_first(at, word, token.text)
        if word in measures.ONES or word in measures.POWERS:
            return self._spelled(at, word)
        if word in measures.ORDINALS and not (word == "second" and self._lower(at - 1) == "per"):
            self._ordinal(measures.ORDINALS[word], word)
            self.found.used.add(at)
        elif word in ("noon", "midnight"):
            self.found.times.append("12:00" if word == "noon" else "0:00")
        elif word in measures.ZONES and token.text.isupper():
            self.found.units.append(("zone", word))
        elif word in measures.UNITS:
            return self._bare_unit(at, word)
        return at + 1

    def _bare_unit(self, at: int, word: str) -> int:
        joined = f"{word}/{self._lower(at + 2)}"
        if self._lower(at + 1) == "/" and joined in measures.UNITS:
            self._bare(joined)
            return at + 3
        if word not in measures.AFTER_NUMBERS_ONLY or (
            len(word) == 1 and self.tokens[at].text in "CFK"
        ):
            self._bare(word)
        return at + 1

    def _bare(self, word: str) -> None:
        unit = measures.UNITS[word]
        kind = "money" if unit.dimension in measures.CURRENCIES else unit.dimension
        name = unit.dimension if kind == "money" else f"{unit.factor:.9g}{unit.offset:+.9g}"
        self.found.units.append((kind, name))

    def _spelled(self, at: int, word: str) -> int:
        """A number in words, from here: `two hundred and five`, `one thousand`."""
        if word in measures.POWERS and (word in ("k", "mn", "bn", "mio") or word.endswith("s")):
            return at + 1
        total, current, end = 0.0, 0.0, at
        while (word := self._lower(end)) and self._kind(end) == "word":
            if word in measures.ONES:
                current += measures.ONES[word]
            elif word == "hundred":
                current = (current or 1) * 100
            elif word in measures.POWERS and word != "k":
                total, current = total + (current or 1) * measures.POWERS[word], 0.0
            elif not (
                word == "and"
                and end > at
                and self._lower(end + 1) in measures.ONES
                and total + current >= 100
            ):
                break
            end += 1
            if self._lower(end) == "-" and self._lower(end + 1) in measures.ONES:
                end += 1
        text = " ".join(token.lower for token in self.tokens[at:end])
        if text == "one" and self._unit(end)[0] is None:
            return end
        return self._number(at, total + current, end, text, spelled=True)

    def _ordinal(self, value: int, text: str) -> None:
        self.found.numbers.append(Amount(str(value), str(value), "ordinal", text))

    # ------------------------------------------------------------------ numbers

    def _number(self, at: int, value: float, end: int, text: str, spelled: bool = False) -> int:
        """A number from `at` to `end`, with what follows: suffix, power, half day, month, unit."""
        following = self._lower(end)
        glued = end < len(self.tokens) and self.tokens[end].glued
        if glued and following in SUFFIXES:
            return self._counted(at, int(value), end + 1, text + following)
        if following in HALF_DAYS and 0 < value <= 12:
            self.found.times.append(f"{int(value) % 12 + HALF_DAYS[following]}:00")
            return self._use(at, end + 1)
        if following in ("o'clock", "oclock", "点", "点钟") and value <= 24:
            return self._clock(at, int(value), end)
        if value.is_integer() and 0 < value <= 31 and self._is_month(end) and not spelled:
            return self._day_first(at, int(value), end)
        if following in ("年", "月", "号", "日") and (dated := self._chinese_date(at, value, end)):
            return dated
        if glued and self._kind(end) == "word" and not spelled and _no_unit(self.tokens[end]):
            self.found.identifiers.append(text + following)
            return self._use(at, end + 1)
        value, after = self._powers(value, end)
        unit, last = self._unit(after)
        written = text if after == end else ""
        self._add(value, unit, " ".join(token.text for token in self.tokens[at:last]), written)
        return self._use(at, last)

    def _counted(self, at: int, value: int, end: int, text: str) -> int:
        if self._lower(end) == "of" and self._is_month(end + 1):
            return self._day_first(at, value, end + 1)
        if self._is_month(end):
            return self._day_first(at, value, end)
        self._ordinal(value, text)
        return self._use(at, end)

    def _powers(self, value: float, end: int) -> tuple[float, int]:
        while self._lower(end) in measures.POWERS or self._lower(end) in ("万", "亿"):
            word = self._lower(end)
            if word == "k" and not self.tokens[end].glued:
                break
            value *= measures.POWERS.get(word) or chinese.POWERS[word]
            end += 1
        return value, end

    def _unit(self, at: int) -> tuple[Unit | None, int]:
        """The unit at a token, and where it ends."""
        word = self._lower(at)
        if word == "-" and self._kind(at + 1) == "word":
            unit, end = self._unit(at + 1)
            return (unit, end) if unit else (None, at)
        if not word:
            return None, at
        if word in chinese.CLASSIFIERS and self._lower(at + 1) in ("小时", "星期"):
            return measures.CHINESE_UNITS[self._lower(at + 1)], at + 2
        joined = f"{word}/{self._lower(at + 2)}"
        if self._lower(at + 1) == "/" and joined in measures.UNITS:
            return measures.UNITS[joined], at + 3
        if word in ("°", "deg", "degree", "degrees", "度"):
            scale = measures.UNITS.get(self._lower(at + 1))
            if scale is not None and scale.dimension == "temperature":
                return scale, at + 2
        if word in measures.UNITS and word not in ("a", "in"):
            return measures.UNITS[word], at + 1
        unit = measures.CHINESE_UNITS.get(word)
        return (unit, at + 1) if unit else (None, at)

    def _add(self, value: float, unit: Unit | None, text: str, written: str = "") -> None:
        plain = _plain(value, written if unit is None else "")
        if unit is None:
            self.found.numbers.append(Amount(plain, plain, "", text))
            return
        base = f"{value * unit.factor + unit.offset:.9g}"
        self.found.numbers.append(Amount(plain, base, unit.dimension, text))

    # ------------------------------------------------------------------ Chinese

    def _han(self, at: int, token: Token) -> int:
        if token.text == "第" and self._lower(at + 1) in chinese.DIGITS:
            self._ordinal(chinese.DIGITS[self._lower(at + 1)], "第" + self._lower(at + 1))
            return self._use(at, at + 2)
        if token.text in chinese.DIGITS or token.text == "十":
            return self._chinese_number(at)
        if token.text in measures.CHINESE_UNITS and len(token.text) > 1:
            unit = measures.CHINESE_UNITS[token.text]
            kind = "money" if unit.dimension in measures.CURRENCIES else unit.dimension
            self.found.units.append((kind, token.text))
        return at + 1

    def _chinese_number(self, at: int) -> int:
        total, current, end = 0, 0, at
        while (word := self._lower(end)) in chinese.DIGITS or word in chinese.POWERS:
            if word in chinese.DIGITS:
                current = (
                    current * 10 + chinese.DIGITS[word]
                    if current and end > at
                    else chinese.DIGITS[word]
                )
            elif chinese.POWERS[word] >= 10_000:
                total, current = (total + current or 1) * chinese.POWERS[word], 0
            else:
                total, current = total + (current or 1) * chinese.POWERS[word], 0
            end += 1
        text = "".join(token.text for token in self.tokens[at:end])
        if text == "一" and self._unit(end)[0] is None:
            return end
        return self._number(at, float(total + current), end, text, spelled=True)


def _plain(value: float, written: str) -> str:
    """Canonical digits; without a unit `3.10` stays what it is, for it may be a version."""
    digits = written.replace(",", "")
    whole, dot, part = digits.partition(".")
    if dot and whole.lstrip("-").strip("0") and part.strip("0"):
        return f"{int(whole)}.{part}"
    return f"{value:.12g}"


def _no_unit(token: Token) -> bool:
    """What stands at a number (3D, 5G) and is neither a unit nor a power of ten."""
    known = token.lower in measures.UNITS or token.lower in measures.POWERS
    return token.text == "G" or not known
