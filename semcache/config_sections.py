"""The sections of `cache_config.yaml` that are semcache's own: every key, its default, its checks.

A key is documented in `cache_config.yaml` and in the README; `cag:` and `knowledge:` stand beside
what they configure (`cag.settings`, `knowledge.settings`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from semcache import guards
from semcache.admin_key import check_digests
from semcache.compat_headers import check_gateways
from semcache.errors import ConfigError
from semcache.guards import DEFAULT_GUARDS
from semcache.pass_through import PassThroughSettings
from semcache.policy_settings import TtlRule
from semcache.server_keys import ServerKey
from semcache.usage import UsageMode
from semcache.wishes import HEADERS, MAX_VARIANTS

_OURS = frozenset(
    "accept accept-encoding api-key authorization cache-control connection content-encoding "
    "content-length content-type cookie expect forwarded host keep-alive pragma te trailer "
    "transfer-encoding upgrade user-agent via x-api-key x-real-ip".split()
)
_NEVER = ("proxy-", "sec-", "x-forwarded-", "x-semcache-")


def check_forwarded(names: tuple[str, ...]) -> None:
    """Raise ConfigError for one of `upstream.forward_headers` that no caller may choose."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            raise ConfigError(f"'upstream.forward_headers': write '{name}' in lower case.")
        if name in _OURS or name in HEADERS or name.startswith(_NEVER):
            raise ConfigError(
                f"'upstream.forward_headers' may not hold '{name}': it is the server's own, or "
                "says who asks, or asks something of the cache."
            )


@dataclass(frozen=True, slots=True)
class EncoderSection:
    """`embedding_config:` — the sentence encoder: the packaged one, or a folder with its files."""

    model: str = "all-MiniLM-L6-v2"
    quantize: bool = True


@dataclass(frozen=True, slots=True)
class PolicySection:
    """`policy:` — what may be served and stored. See `policy.PolicySettings`."""

    guards: tuple[str, ...] = DEFAULT_GUARDS
    candidates: int = 5
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
    ttls: tuple[TtlRule, ...] = ()
    stale_while_revalidate_s: float = 0.0
    replay: Literal["instant", "recorded"] | float = "instant"
    variants: int = 0
    join_similar: bool = True

    def check(self) -> None:
        """Raises ConfigError."""
        unknown = [name for name in self.guards if name not in guards.GUARDS]
        if unknown:
            known = ", ".join(guards.GUARDS)
            raise ConfigError(f"Unknown guard '{unknown[0]}' in 'policy.guards'. Known: {known}.")
        if self.volatile_ttl_s <= 0:
            raise ConfigError("'policy.volatile_ttl_s' must be more than 0; see 'policy.volatile'.")
        if self.retry_window_s < 0:
            raise ConfigError("'policy.retry_window_s' must not be negative; 0 is the same as off.")
        if self.stale_while_revalidate_s < 0:
            raise ConfigError("'policy.stale_while_revalidate_s' must not be negative; 0 is off.")
        if not isinstance(self.replay, str) and not 0 < self.replay < float("inf"):
            raise ConfigError("'policy.replay' is instant, recorded, or tokens a second.")
        if not 0 <= self.variants <= MAX_VARIANTS:
            raise ConfigError(f"'policy.variants' must be at least 0 and at most {MAX_VARIANTS}.")
        for at, rule in enumerate(self.ttls):
            times = (rule.ttl_s, rule.stale_while_revalidate_s)
            if any(time is not None and time < 0 for time in times):
                raise ConfigError(f"'policy.ttls[{at}]' must hold no negative times.")


@dataclass(frozen=True, slots=True)
class TrustSection:
    """`trust:` — how a near-duplicate is judged after gate and guards.

    `verifier`: whether the packaged one does; it knows the packaged encoder only, and lets few
    paraphrases through that share few words. `threshold`: the probability of a right answer from
    which it serves, 0..1; None for the one it was shipped with.

    `max_wrong_rate`: the share of wrong answers that is borne, of hits or requests (`per`), 0..1;
    None for no certificate. `confidence`: the probability with which it is kept. `audit_share`: of
    hits that the engine answers too. `guards`: "veto", or "learned": own labels may overrule those
    that err. `packaged_calibration`: labels of the package serve until there are own ones.

    `judge_model`, at `judge_url` (None for the upstream's), compares answers where they are
    checked; None for comparing numbers, names and embeddings. Its key is in `judge_key_env`.
    """

    verifier: bool = True
    threshold: float | None = None
    max_wrong_rate: float | None = None
    per: Literal["hit", "request"] = "hit"
    confidence: float = 0.9
    audit_share: float = 0.1
    guards: Literal["veto", "learned"] = "veto"
    packaged_calibration: bool = True
    judge_model: str | None = None
    judge_url: str | None = None
    judge_key_env: str = "OPENAI_API_KEY"

    def check(self) -> None:
        """Raises ConfigError for values that cannot be used, or not together."""
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError("'trust.threshold' is a probability: above 0, at most 1.")
        bound = self.max_wrong_rate
        if bound is not None and not 0 < bound < 1:
            raise ConfigError("'trust.max_wrong_rate' lies between 0 and 1: 0.02 is one in fifty.")
        if bound is not None and self.threshold is not None:
            raise ConfigError(
                "'trust.max_wrong_rate' finds the threshold itself: leave 'trust.threshold' out."
            )
        if self.judge_model is not None and bound is None:
            raise ConfigError(
                "'trust.judge_model' compares answers for a certificate: set "
                "'trust.max_wrong_rate' too."
            )
        if not 0.5 <= self.confidence < 1:
            raise ConfigError("'trust.confidence' must be at least 0.5 and below 1; 0.9 is usual.")
        if not 0 < self.audit_share <= 1:
            raise ConfigError(
                "'trust.audit_share' must be above 0 and at most 1: without checks there is no "
                "certificate."
            )


@dataclass(frozen=True, slots=True)
class StoreSection:
    """`store:` — bounds of the store beyond GPTCache's `max_size`, and its durability."""

    max_bytes: int | None = None
    max_entries_per_tenant: int | None = None
    max_bytes_per_tenant: int | None = None
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    memory_bytes: int = 64_000_000
    threads: int = 2
    encryption: Literal["none", "key", "caller"] = "none"
    encryption_key_env: str = "SEMCACHE_STORE_KEY"


@dataclass(frozen=True, slots=True)
class FallbackSection:
    """One of `upstream.fallbacks`: a server to ask where those before it are down.

    `model` is the name to ask it for; None for the one that was asked for.
    """

    base_url: str
    api_key_env: str = "OPENAI_API_KEY"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class UpstreamSection:
    """`upstream:` — an OpenAI-compatible server. The key is read from the environment."""

    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    models: tuple[str, ...] = ("*",)
    timeout_s: float = 600.0
    connect_timeout_s: float = 5.0
    max_connections: int = 1000
    usage_in_streams: bool = True
    responses: bool = True
    fallbacks: tuple[FallbackSection, ...] = ()
    retries: int = 1
    circuit_failures: int = 5
    circuit_s: float = 10.0
    knowledge: bool = False
    knowledge_tokens: int = 8_000
    passages: int = 8
    passage_tokens: int = 2_000
    forward_headers: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises ConfigError."""
        check_forwarded(self.forward_headers)
        for name in ("knowledge_tokens", "passages", "passage_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"'upstream.{name}' must be at least 1.")
        if not 0 <= self.retries <= 10:
            raise ConfigError("'upstream.retries' must be at least 0 and at most 10.")
        if self.circuit_failures < 0 or self.circuit_s <= 0:
            raise ConfigError(
                "'upstream.circuit_failures' must not be negative (0: off), and "
                "'upstream.circuit_s' must be more than 0."
            )


_AT_LEAST_ONE = (
    "workers",
    "max_body_bytes",
    "max_head_bytes",
    "max_messages",
    "max_in_flight",
    "max_in_flight_per_tenant",
    "read_timeout_s",
    "request_timeout_s",
)


@dataclass(frozen=True, slots=True)
class ServerSection:
    """`server:` — where semcache_server listens, and its limits."""

    host: str = "localhost"
    port: int = 8000
    max_body_bytes: int = 10_000_000
    max_head_bytes: int = 65_536
    max_messages: int = 4096
    max_in_flight: int | None = 1000
    max_in_flight_per_tenant: int | None = 250
    read_timeout_s: float = 60.0
    request_timeout_s: float = 1800.0
    workers: int = 1
    shutdown_grace_s: int = 30
    knowledge_poll_s: float = 2.0
    keys: tuple[ServerKey, ...] = ()
    pass_through: PassThroughSettings | None = None
    promote_after: int | None = None
    admin_keys: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    log_format: Literal["text", "json"] = "text"
    traces: Literal["off", "otlp"] = "off"
    show_questions: bool = True
    compat_headers: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises ConfigError."""
        check_digests(self.admin_keys)
        check_gateways(self.compat_headers)
        for name in _AT_LEAST_ONE:
            bound = getattr(self, name)
            if bound is not None and not bound > 0:
                raise ConfigError(f"'server.{name}' must be more than 0.")
        self._check_sharing()
        if self.keys and self.pass_through is not None:
            raise ConfigError(
                "'server.keys' are the server's own, with 'server.pass_through' callers bring "
                "theirs: choose one."
            )

    def _check_sharing(self) -> None:
        if self.promote_after is not None and self.promote_after < 2:
            raise ConfigError("'server.promote_after' is at least 2: an answer needs a witness.")
        if self.promote_after is None and self.pass_through and self.pass_through.shared:
            raise ConfigError("'server.pass_through.shared' needs 'server.promote_after' too.")
