"""Dates and times of day in a row of tokens, English and Chinese; and what a reader collects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from semcache.lexical.scan import Token
from semcache.lexical.vocabulary import AMBIGUOUS_MONTHS, MONTHS

SUFFIXES = frozenset({"st", "nd", "rd", "th"})
HALF_DAYS = {"am": 0, "pm": 12, "a.m": 0, "p.m": 12}
_CHINESE_HALF_DAYS = {"下午": 12, "晚上": 12, "上午": 0, "早上": 0, "凌晨": 0}


class Amount(NamedTuple):
    """A number: `value` as written, `base` in the unit of `dimension` ("" without one)."""

    value: str
    base: str
    dimension: str
    text: str

    def same(self, other: Amount) -> bool:
        """Equal amounts, or equal numbers of which one is written without its unit."""
        if self.dimension == other.dimension:
            return self.base == other.base
        loose = {"", "degree"}
        return self.value == other.value and bool(loose & {self.dimension, other.dimension})


class Date(NamedTuple):
    """A date; 0 where a part is not given. `text` as written."""

    year: int
    month: int
    day: int
    text: str

    def same(self, other: Date) -> bool:
        """No part that both give differs."""
        ours, theirs = self[:3], other[:3]
        return all(a == b for a, b in zip(ours, theirs, strict=True) if a and b)


@dataclass(slots=True)
class Amounts:
    """What was found, and at which tokens (`used`)."""

    numbers: list[Amount] = field(default_factory=list)
    dates: list[Date] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)
    units: list[tuple[str, str]] = field(default_factory=list)  # (dimension or zone, canonical)
    used: set[int] = field(default_factory=set)


class DateReader:
    """Reads dates and times; `at` is a token, what is returned is the token to go on with."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.found = Amounts()

    def _date(self, at: int, token: Token) -> None:
        parts = [int(part) for part in token.text.replace("/", "-").replace(".", "-").split("-")]
        if parts[0] > 31:
            self.found.dates.append(Date(parts[0], parts[1], parts[2], token.text))
            return
        year = parts[2] if parts[2] > 99 else 2000 + parts[2]
        month, day = (parts[1], parts[0]) if parts[1] <= 12 < parts[0] else (parts[0], parts[1])
        self.found.dates.append(Date(year, month, day, token.text))

    def _time(self, at: int, token: Token) -> None:
        hour, minute, *_ = (int(part) for part in token.text.split(":"))
        half = self._lower(at + 1)
        if half in HALF_DAYS:
            hour = hour % 12 + HALF_DAYS[half]
            self.found.used.add(at + 1)
        self.found.times.append(f"{hour}:{minute:02}")

    def _clock(self, at: int, hour: int, end: int) -> int:
        half = _CHINESE_HALF_DAYS.get(self._lower(at - 1), 0)
        minute = 30 if self._lower(end + 1) == "半" else 0
        self.found.times.append(f"{hour % 12 + half if half else hour}:{minute:02}")
        return self._use(at, end + 1 + bool(minute))

    def _is_month(self, at: int) -> bool:
        word = self._lower(at)
        return word in MONTHS and (
            word not in AMBIGUOUS_MONTHS or self.tokens[at].text[0].isupper()
        )

    def _day_first(self, at: int, day: int, month_at: int) -> int:
        year, end = self._year(month_at + 1)
        return self._dated(at, end, year, MONTHS[self._lower(month_at)], day)

    def _month_first(self, at: int, word: str, text: str) -> int:
        day, end = 0, at + 1
        if self._kind(end) == "number" and self.tokens[end].text.isdigit():
            number = int(self.tokens[end].text)
            if number <= 31:
                day, end = number, end + 1
                end += self._lower(end) in SUFFIXES
        year, end = self._year(end)
        if not (day or year) and word in AMBIGUOUS_MONTHS:
            return at + 1
        return self._dated(at, end, year, MONTHS[word], day)

    def _year(self, at: int) -> tuple[int, int]:
        start = at + (self._lower(at) in (",", "of"))
        text = self.tokens[start].text if self._kind(start) == "number" else ""
        if text.isdigit() and 1000 <= int(text) <= 2999:
            return int(text), start + 1
        return 0, at

    def _dated(self, at: int, end: int, year: int, month: int, day: int) -> int:
        text = " ".join(token.text for token in self.tokens[at:end])
        self.found.dates.append(Date(year, month, day, text))
        return self._use(at, end)

    def _chinese_date(self, at: int, value: float, end: int) -> int:
        """2024年3月5日, or a part of it; 0 if it is none (3年 is a span of time)."""
        parts = {"年": 0, "月": 0, "日": 0}
        start, number = end, int(value)
        while (name := self._lower(start).replace("号", "日")) in parts and not parts[name]:
            if name == "年" and number < 1000:
                return 0
            parts[name], end = number, start + 1
            if self._kind(end) != "number" or not self.tokens[end].text.isdigit():
                break
            number, start = int(self.tokens[end].text), end + 1
        return self._dated(at, end, *parts.values())

    def _lower(self, at: int) -> str:
        return self.tokens[at].lower if 0 <= at < len(self.tokens) else ""

    def _kind(self, at: int) -> str:
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else ""

    def _use(self, at: int, end: int) -> int:
        self.found.used.update(range(at, end))
        return end
