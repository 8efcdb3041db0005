"""Configuration: `cache_config.yaml` in, checked values out. `assembly` makes the parts of them.

GPTCache's keys keep their names and their meaning (`semcache.gptcache.vocabulary`); semcache's own
keys stand beside them in sections of their own. Every key is known or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from semcache import guards
from semcache.cag.settings import CagSettings
from semcache.errors import ConfigError
from semcache.gptcache.vocabulary import KNOWN_KEYS, GptcacheSettings, read_vocabulary
from semcache.guards import DEFAULT_GUARDS
from semcache.knowledge.settings import KnowledgeSettings
from semcache.policy import PolicySettings
from semcache.sections import read_section, require_known
from semcache.server_keys import ServerKey

DEFAULT_DATA_DIR = Path("semcache_data")
DEFAULT_MAX_ENTRIES = 100_000
ENGINES = ("cag", "upstream")
CERTIFIED_AROUND = 16
OPENAI_URL = "https://api.openai.com/v1"
OWN_KEYS = ("engines", "cag", "knowledge", "upstream", "policy", "trust", "store", "server")


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
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    memory_bytes: int = 64_000_000
    threads: int = 2


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
    fallbacks: tuple[FallbackSection, ...] = ()
    knowledge: bool = False
    knowledge_tokens: int = 8_000
    passages: int = 8
    passage_tokens: int = 2_000

    def check(self) -> None:
        """Raises ConfigError."""
        for name in ("knowledge_tokens", "passages", "passage_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"'upstream.{name}' must be at least 1.")


@dataclass(frozen=True, slots=True)
class ServerSection:
    """`server:` — where semcache_server listens, and its limits."""

    host: str = "localhost"
    port: int = 8000
    max_body_bytes: int = 10_000_000
    shutdown_grace_s: int = 30
    knowledge_poll_s: float = 2.0
    keys: tuple[ServerKey, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "warning"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a file can say, checked."""

    gptcache: GptcacheSettings
    encoder: EncoderSection = field(default_factory=EncoderSection)
    engines: tuple[str, ...] = ("cag",)
    cag: CagSettings = field(default_factory=CagSettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    upstream: UpstreamSection = field(default_factory=UpstreamSection)
    policy: PolicySection = field(default_factory=PolicySection)
    trust: TrustSection = field(default_factory=TrustSection)
    store: StoreSection = field(default_factory=StoreSection)
    server: ServerSection = field(default_factory=ServerSection)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Config:
        """Read what YAML gave. Raises ConfigError, naming the key."""
        require_known(values, [*OWN_KEYS, *KNOWN_KEYS])
        gptcache = _with_own_defaults(read_vocabulary(values))
        config = cls(
            gptcache=gptcache,
            encoder=read_section(EncoderSection, gptcache.embedding_config, "embedding_config"),
            engines=_engines(values.get("engines", ["cag"])),
            cag=read_section(CagSettings, values.get("cag"), "cag"),
            knowledge=read_section(KnowledgeSettings, values.get("knowledge"), "knowledge"),
            upstream=read_section(UpstreamSection, values.get("upstream"), "upstream"),
            policy=read_section(PolicySection, values.get("policy"), "policy"),
            trust=read_section(TrustSection, values.get("trust"), "trust"),
            store=read_section(StoreSection, values.get("store"), "store"),
            server=read_section(ServerSection, values.get("server"), "server"),
        )
        config.check()
        return config

    @classmethod
    def from_file(cls, path: Path) -> Config:
        """Read a YAML file with the safe loader. Raises ConfigError."""
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"Cannot read {path}: {error.strerror}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not valid YAML: {error}") from None
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise ConfigError(f"{path} must hold keys and values at its top level.")
        return cls.from_mapping(values)

    def check(self) -> None:
        """What no single key can tell. Raises ConfigError."""
        unknown = [name for name in self.policy.guards if name not in guards.GUARDS]
        if unknown:
            known = ", ".join(guards.GUARDS)
            raise ConfigError(f"Unknown guard '{unknown[0]}' in 'policy.guards'. Known: {known}.")
        if self.policy.volatile_ttl_s <= 0:
            raise ConfigError("'policy.volatile_ttl_s' must be more than 0; see 'policy.volatile'.")
        if self.policy.retry_window_s < 0:
            raise ConfigError("'policy.retry_window_s' must not be negative; 0 is the same as off.")
        self.trust.check()
        if self.trust.judge_model and not (self.trust.judge_url or self.upstream.base_url):
            raise ConfigError("'trust.judge_model' needs a server: set 'trust.judge_url' too.")
        if "upstream" in self.engines and self.upstream.base_url is None:
            raise ConfigError("'engines' names upstream: set 'upstream.base_url' too.")
        self.upstream.check()
        if self.upstream.knowledge and self.cag.knowledge is None:
            raise ConfigError("'upstream.knowledge' needs documents: set 'cag.knowledge' too.")

    def policy_settings(self) -> PolicySettings:
        """The sections that bear on decisions, on our scales."""
        own = {f.name: getattr(self.policy, f.name) for f in fields(self.policy)}
        if "storage_config.vector_params.top_k" in self.gptcache.given:
            own["candidates"] = self.gptcache.top_k
        if self.trust.max_wrong_rate is not None:
            own |= {"guards_first": False, "around": CERTIFIED_AROUND}
        return PolicySettings(
            threshold=self.gptcache.cosine_threshold, semantic=self.gptcache.semantic, **own
        )

    def with_overrides(
        self,
        *,
        data_dir: Path | None = None,
        knowledge: Path | None = None,
        host: str | None = None,
        port: int | None = None,
        log_level: str | None = None,
    ) -> Config:
        """The same configuration with what a command line says."""
        said: dict[str, Any] = {"host": host, "port": port, "log_level": log_level}
        server = replace(self.server, **{k: v for k, v in said.items() if v is not None})
        gptcache = self.gptcache if data_dir is None else replace(self.gptcache, data_dir=data_dir)
        cag = self.cag if knowledge is None else replace(self.cag, knowledge=knowledge)
        return replace(self, server=server, gptcache=gptcache, cag=cag)

    def with_openai(self) -> Config:
        """The same configuration with the OpenAI API behind every other engine."""
        if "upstream" in self.engines:
            return self
        upstream = replace(self.upstream, base_url=self.upstream.base_url or OPENAI_URL)
        return replace(self, upstream=upstream, engines=(*self.engines, "upstream"))


def default_config() -> Config:
    """The documented defaults: what an empty file means."""
    return Config.from_mapping({})


def _with_own_defaults(settings: GptcacheSettings) -> GptcacheSettings:
    """A folder called `gptcache_data` would be GPTCache's own, and its 1,000 entries are few."""
    given = settings.given
    if "storage_config.data_dir" not in given:
        settings = replace(settings, data_dir=DEFAULT_DATA_DIR)
    if settings.max_entries is None:
        settings = replace(settings, max_entries=DEFAULT_MAX_ENTRIES)
    return settings


def _engines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError("'engines' must be a list, for instance [cag, upstream].")
    for name in value:
        if name not in ENGINES:
            raise ConfigError(f"Unknown engine '{name}' in 'engines'. Known: {', '.join(ENGINES)}.")
    if len(set(value)) != len(value):
        raise ConfigError("'engines' names an engine twice.")
    return tuple(value)
