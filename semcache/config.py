"""Configuration: `cache_config.yaml` in, checked values out. `assembly` makes the parts of them.

GPTCache's keys keep their names and their meaning (`semcache.gptcache.vocabulary`); semcache's own
keys stand beside them in sections of their own. Every key is known or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from semcache.cag.settings import CagSettings
from semcache.config_sections import (
    EncoderSection,
    PolicySection,
    ServerSection,
    StoreSection,
    TrustSection,
    UpstreamSection,
)
from semcache.errors import ConfigError
from semcache.gptcache.vocabulary import KNOWN_KEYS, GptcacheSettings, read_vocabulary
from semcache.knowledge.settings import KnowledgeSettings
from semcache.policy import PolicySettings
from semcache.prices import Price, Prices, read_prices
from semcache.sections import read_section, require_known

DEFAULT_DATA_DIR = Path("semcache_data")
DEFAULT_MAX_ENTRIES = 100_000
ENGINES = ("cag", "upstream")
CERTIFIED_AROUND = 16
OPENAI_URL = "https://api.openai.com/v1"
OWN_KEYS = (
    "engines",
    "cag",
    "knowledge",
    "upstream",
    "policy",
    "trust",
    "store",
    "server",
    "prices",
)


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
    prices: Mapping[str, Price] = field(default_factory=dict)

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
            prices=read_prices(values.get("prices")),
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
        self.policy.check()
        self.trust.check()
        if self.trust.judge_model and not (self.trust.judge_url or self.upstream.base_url):
            raise ConfigError("'trust.judge_model' needs a server: set 'trust.judge_url' too.")
        if "upstream" in self.engines and self.upstream.base_url is None:
            raise ConfigError("'engines' names upstream: set 'upstream.base_url' too.")
        self.upstream.check()
        self.server.check()
        if self.server.pass_through is not None:
            self._check_pass_through()
        if self.store.encryption == "caller":
            self._check_encryption()
        if self.upstream.knowledge and self.cag.knowledge is None:
            raise ConfigError("'upstream.knowledge' needs documents: set 'cag.knowledge' too.")

    def _check_encryption(self) -> None:
        """A caller's key opens what is the caller's alone: nothing can be shared."""
        server = self.server
        shared = server.pass_through is not None and server.pass_through.shared
        if shared or any(key.namespace is not None for key in server.keys):
            raise ConfigError(
                "With 'store.encryption: caller' nobody can read another's answers: leave out the "
                "namespaces of 'server.keys' and 'server.pass_through.shared', or take 'key'."
            )

    def _check_pass_through(self) -> None:
        if "upstream" not in self.engines:
            raise ConfigError("'server.pass_through' needs an upstream: name it in 'engines'.")
        if self.upstream.fallbacks:
            raise ConfigError(
                "A caller's key is for one server: 'upstream.fallbacks' and 'server.pass_through' "
                "do not go together."
            )

    @property
    def shows_questions(self) -> bool:
        """Whether an admin sees what was asked lately; not what is sealed for its caller."""
        return self.server.show_questions and self.store.encryption != "caller"

    def policy_settings(self) -> PolicySettings:
        """The sections that bear on decisions, on our scales."""
        own = {f.name: getattr(self.policy, f.name) for f in fields(self.policy)}
        if "storage_config.vector_params.top_k" in self.gptcache.given:
            own["candidates"] = self.gptcache.top_k
        if self.trust.max_wrong_rate is not None:
            own |= {"guards_first": False, "around": CERTIFIED_AROUND}
        return PolicySettings(
            threshold=self.gptcache.cosine_threshold,
            semantic=self.gptcache.semantic,
            prices=Prices(self.prices),
            **own,
        )

    def with_overrides(
        self,
        *,
        data_dir: Path | None = None,
        knowledge: Path | None = None,
        host: str | None = None,
        port: int | None = None,
        log_level: str | None = None,
        workers: int | None = None,
        compat_headers: tuple[str, ...] | None = None,
    ) -> Config:
        """The same configuration with what a command line says."""
        said: dict[str, Any] = {"host": host, "port": port, "log_level": log_level}
        said |= {"workers": workers, "compat_headers": compat_headers}
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
