"""What the operator decides of serving and keeping answers."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from semcache.directives import Pace
from semcache.guards import DEFAULT_GUARDS
from semcache.prices import NO_PRICES, Prices
from semcache.usage import UsageMode


@dataclass(frozen=True, slots=True)
class TtlRule:
    """How long answers of some models live, on one route or on all; times in seconds.

    `model` is a glob pattern on the model asked for. `ttl_s` None: for good.
    `stale_while_revalidate_s` None: as for all others.
    """

    ttl_s: float | None
    model: str = "*"
    route: Literal["*", "chat", "completions", "responses", "embeddings"] = "*"
    stale_while_revalidate_s: float | None = None

    def holds(self, model: str, route: str) -> bool:
        """Whether this rule is about a model on a route."""
        return self.route in {"*", route} and fnmatchcase(model, self.model)


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What the operator decides. Similarities are cosines, times seconds, sizes bytes.

    `threshold` is the candidate gate: GPTCache's 0.8 is a cosine of 0.60. `max_temperature`: a
    request that asks for a higher one, without a seed, wants another answer each time and bypasses.
    `guards_first`: False leaves the guards to a verifier that asks them itself.
    `around`: the verifier is shown so many neighbours at least, of which `candidates` may answer.
    `volatile` and `personal`: what becomes of answers that change, and of one person's own (see
    `freshness`). "user" shares those within a named user of a tenant, "tenant" also where no user
    is named. `retry`: whose repetition within `retry_window_s` of a semantic hit asks anew (see
    `retries`). `stale_if_error_s`: how stale an answer may be where no other can be made;
    `stale_while_revalidate_s`: how stale while another is being made.
    `variants`: so many answers are kept to a request that is hotter, and one of them served.
    `join_similar`: a near-duplicate in flight is joined where a verifier allows it.
    `replay`: how fast stored answers are streamed.
    `usage`: what a stored answer says of its tokens. `prices`: what they would have cost.
    `ttls`: of these rules the first that holds has its word in place of `ttl_s`.
    """

    threshold: float = 0.6
    candidates: int = 5
    around: int = 0
    semantic: bool = True
    guards: tuple[str, ...] = DEFAULT_GUARDS
    guards_first: bool = True
    max_unknown_share: float = 0.2
    max_temperature: float = 0.0
    ttl_s: float | None = None
    max_entry_bytes: int = 1_000_000
    volatile: Literal["ttl", "bypass", "off"] = "ttl"
    volatile_ttl_s: float = 300.0
    personal: Literal["user", "tenant", "bypass", "off"] = "user"
    retry: Literal["user", "tenant", "off"] = "user"
    retry_window_s: float = 30.0
    stale_if_error_s: float = 86_400.0
    usage: UsageMode = "replay"
    prices: Prices = NO_PRICES
    ttls: tuple[TtlRule, ...] = ()
    stale_while_revalidate_s: float = 0.0
    replay: Pace = "instant"
    variants: int = 0
    join_similar: bool = True

    def rule(self, model: str, route: str) -> TtlRule | None:
        """The first of `ttls` that holds, or None."""
        return next((rule for rule in self.ttls if rule.holds(model, route)), None)

    def life_s(self, model: str, route: str) -> float | None:
        """How long an answer of this model on this route lives; None: for good."""
        rule = self.rule(model, route)
        return self.ttl_s if rule is None else rule.ttl_s
