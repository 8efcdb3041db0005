"""What an answer from the cache has saved: tokens, money, time. Pure.

A price list names models, or patterns of their names (`gpt-4o*`), and what a million tokens of them
cost, in US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from semcache.errors import ConfigError
from semcache.sections import read_section

_MILLION = 1_000_000
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens. `cached_input`: those that the provider has read before."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None

    def check(self, path: str) -> None:
        """Raises ConfigError."""
        for name in ("input", "output", "cached_input"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < _MILLION:
                raise ConfigError(f"'{path}.{name}' is the price of a million tokens, at least 0.")


class Saved(NamedTuple):
    """By one answer: tokens, US dollars by the price list, seconds that nobody waited."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


class Prices:
    """A price list; an exact name goes before patterns, and a pattern before those after it."""

    def __init__(self, listed: Mapping[str, Price] | None = None) -> None:
        self._listed = dict(listed or {})
        self._found: dict[str, Price | None] = {}

    def __bool__(self) -> bool:
        return bool(self._listed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prices) and self._listed == other._listed

    def __hash__(self) -> int:
        return hash(tuple(self._listed))

    def of(self, model: str) -> Price | None:
        """The price of a model, None where the list has none."""
        try:
            return self._found[model]
        except KeyError:
            pass
        if len(self._found) >= _REMEMBERED:  # callers choose names
            self._found = {}
        found = self._listed.get(model)
        if found is None:
            matching = (p for name, p in self._listed.items() if fnmatchcase(model, name))
            found = next(matching, None)
        self._found[model] = found
        return found


NO_PRICES = Prices()


def read_prices(values: object) -> dict[str, Price]:
    """The section `prices:` of the configuration. Raises ConfigError."""
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ConfigError("'prices' must name models: {gpt-4o: {input: 2.5, output: 10}}.")
    listed = {name: read_section(Price, value, f"prices.{name}") for name, value in values.items()}
    for name, price in listed.items():
        price.check(f"prices.{name}")
    return listed


def saved(wire: Mapping[str, Any], asked: str, prices: Prices, cost_s: float = 0.0) -> Saved:
    """What a stored answer saves each time that it is served.

    `wire` is the answer with its `usage`, in any of the forms of OpenAI's interface; `asked` is the
    model that was asked for, whose price counts where the answer's own model has none.
    """
    usage = wire.get("usage")
    if not isinstance(usage, Mapping):
        return Saved(seconds=cost_s)
    read = _count(usage, "prompt_tokens", "input_tokens")
    written = _count(usage, "completion_tokens", "output_tokens")
    if not prices:
        return Saved(read, written, 0.0, cost_s)
    price = prices.of(str(wire.get("model"))) or prices.of(asked)
    usd = 0.0 if price is None else _cost(price, usage, read, written)
    return Saved(read, written, usd, cost_s)


def _cost(price: Price, usage: Mapping[str, Any], read: int, written: int) -> float:
    known = 0
    if price.cached_input is not None:
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        if isinstance(details, Mapping):
            known = min(_count(details, "cached_tokens"), read)
    cost = (read - known) * price.input + known * (price.cached_input or 0.0)
    return (cost + written * price.output) / _MILLION


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return 0
