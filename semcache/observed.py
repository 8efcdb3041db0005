"""All that is counted, at one moment: of one process, or of several together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, TypeVar

from semcache.recent import MOST, Recent, Seen
from semcache.tally import Spread, Tally
from semcache.timeline import Minute, Timeline, together

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Observed:
    """A copy: nothing in it changes. `recent` is newest first, `minutes` oldest first.

    `gauges` are what goes up and down: `in flight`, `waiters`.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    sums: Mapping[str, float] = field(default_factory=dict)
    cosines: Mapping[str, Spread] = field(default_factory=dict)
    times: Mapping[str, Spread] = field(default_factory=dict)
    minutes: tuple[Minute, ...] = ()
    recent: tuple[Seen, ...] = ()
    gauges: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls, tally: Tally, timeline: Timeline, recent: Recent, gauges: Mapping[str, float]
    ) -> Observed:
        """What they hold now."""
        return cls(
            tally.counts(),
            tally.sums(),
            tally.spreads(),
            tally.times(),
            timeline.minutes(),
            recent.latest(),
            gauges,
        )

    def with_others(self, others: Iterable[Observed]) -> Observed:
        """All of them as one."""
        every = [self, *others]
        return Observed(
            _added([one.counts for one in every]),
            _added([one.sums for one in every]),
            _spread([one.cosines for one in every]),
            _spread([one.times for one in every]),
            together(one.minutes for one in every),
            _latest(one.recent for one in every),
            _added([one.gauges for one in every]),
        )

    def to_wire(self) -> dict[str, Any]:
        """For JSON; the recent decisions without their questions, which are in no such file."""
        return {
            "counts": dict(self.counts),
            "sums": dict(self.sums),
            "cosines": {name: astuple(one) for name, one in self.cosines.items()},
            "times": {name: astuple(one) for name, one in self.times.items()},
            "minutes": [astuple(one) for one in self.minutes],
            "recent": [seen._replace(question="") for seen in self.recent],
            "gauges": dict(self.gauges),
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Observed:
        """The inverse of `to_wire`. Raises KeyError, TypeError and ValueError."""
        return cls(
            dict(wire["counts"]),
            dict(wire["sums"]),
            {
                name: Spread(tuple(counts), total)
                for name, (counts, total) in wire["cosines"].items()
            },
            {name: Spread(tuple(counts), total) for name, (counts, total) in wire["times"].items()},
            tuple(Minute(*one) for one in wire["minutes"]),
            tuple(Seen._make(one) for one in wire["recent"]),
            dict(wire["gauges"]),
        )


def _latest(recent: Iterable[Iterable[Seen]]) -> tuple[Seen, ...]:
    """The newest of all, newest first; those of one moment stay as they were."""
    return tuple(sorted((seen for one in recent for seen in one), key=_at, reverse=True)[:MOST])


def _at(seen: Seen) -> float:
    return seen.at


def _added(counts: Iterable[Mapping[str, N]]) -> dict[str, N]:
    found: dict[str, N] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found[name] + count if name in found else count
    return dict(sorted(found.items()))


def _spread(spreads: Iterable[Mapping[str, Spread]]) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    for one in spreads:
        for name, spread in one.items():
            before = found.get(name)
            if before is not None:
                counts = tuple(a + b for a, b in zip(before.counts, spread.counts, strict=True))
                spread = Spread(counts, before.total + spread.total)
            found[name] = spread
    return dict(sorted(found.items()))
