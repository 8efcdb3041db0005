"""From the configuration to who answers a miss: the local engine, another server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Answerer, Embedder, Library
from semcache.responding import responding

if TYPE_CHECKING:
    from semcache.cag.engine import CagEngine
    from semcache.failover import Failover
    from semcache.grounding import Grounded

Progress: TypeAlias = Callable[[str], None]


def open_library(
    config: Config, directory: Path, embedder: Embedder | None, progress: Progress
) -> Library | None:
    """The documents, where there are some and somebody answers from them. Raises ConfigError."""
    folder = config.cag.knowledge
    if folder is not None and not folder.is_dir():  # said now, not after the model is loaded
        raise ConfigError(f"The knowledge folder {folder} does not exist, or is not a folder.")
    if "cag" not in config.engines and not config.upstream.knowledge:
        return None
    from semcache.documents import open_known_documents

    return open_known_documents(config, directory, embedder, progress)


def open_engine(
    config: Config,
    directory: Path,
    embedder: Embedder | None,
    library: Library | None,
    progress: Progress,
) -> CagEngine | None:
    """The local engine with its model loaded and its documents read. Raises ConfigError."""
    if "cag" not in config.engines:
        return None
    from semcache.cag.engine import CagEngine

    engine = CagEngine(
        config.cag,
        data_dir=directory,
        library=library,
        # Its default names are nobody else's: who is asked next would not know them.
        may_decline=bool(config.cag.names) and config.engines[-1] != "cag",
    )
    engine.load(progress)
    return engine


def open_upstream(
    config: Config, library: Library | None, progress: Progress
) -> Failover | Grounded | None:
    """The other server, given the documents where the configuration says so. Raises ConfigError."""
    section = config.upstream
    if "upstream" not in config.engines or section.base_url is None:
        return None
    upstream = _servers(config, section.base_url)
    if not section.knowledge or library is None:
        return upstream
    return _given_documents(upstream, library, config, progress)


def _servers(config: Config, base_url: str) -> Failover:
    """The upstream, with those that are asked where it is down."""
    from semcache.failover import Alternative, Failover, Persistence
    from semcache.upstream import Upstream, UpstreamSettings

    section = config.upstream
    from_caller = config.server.pass_through is not None

    def opened(base_url: str, key_env: str) -> Upstream:
        return Upstream(
            UpstreamSettings(
                base_url=base_url,
                api_key=None if from_caller else os.environ.get(key_env) or None,
                key_from_caller=from_caller,
                models=section.models,
                timeout_s=section.timeout_s,
                connect_timeout_s=section.connect_timeout_s,
                max_connections=section.max_connections,
                usage_in_streams=section.usage_in_streams,
            )
        )

    first = opened(base_url, section.api_key_env)
    others = [
        Alternative(opened(one.base_url, one.api_key_env), one.model) for one in section.fallbacks
    ]
    persistence = Persistence(section.retries, section.circuit_failures, section.circuit_s)
    return Failover([Alternative(first), *others], time.monotonic, persistence)


def answerers_of(
    config: Config, engine: CagEngine | None, upstream: Failover | Grounded | None
) -> list[Answerer]:
    """Who answers a miss, in order; who only chats is asked for responses as for chats."""
    known: dict[str, Answerer] = {}
    if engine is not None:
        known["cag"] = responding(engine)
    if upstream is not None:
        relays = config.upstream.responses and grounded(upstream) is None
        known["upstream"] = upstream if relays else responding(upstream, embeds=True)
    return [known[name] for name in config.engines if name in known]


def grounded(upstream: Failover | Grounded | None) -> Grounded | None:
    """The upstream, where it is given the documents."""
    from semcache.grounding import Grounded

    return upstream if isinstance(upstream, Grounded) else None


def _given_documents(
    upstream: Failover, library: Library, config: Config, progress: Progress
) -> Grounded:
    from semcache.documents import tokenizer_file
    from semcache.grounding import Grounded, GroundingSettings
    from semcache.knowledge.opening import counter
    from semcache.knowledge.ranking import RELEVANCE_FLOOR

    section = config.upstream
    settings = GroundingSettings(
        instruction=config.cag.instruction,
        whole_tokens=section.knowledge_tokens,
        passages=section.passages,
        passage_tokens=section.passage_tokens,
        floor=RELEVANCE_FLOOR,
    )
    given = Grounded(upstream, library, settings, counter(tokenizer_file(config, progress)))
    given.load(progress)
    return given
