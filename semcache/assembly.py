"""From a checked configuration to a running cache: the only place that picks classes."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from semcache.admin_key import read_admin_key
from semcache.cache import SemCache
from semcache.config import Config
from semcache.doors import open_door, open_pass_through, open_promotion, open_ring
from semcache.engines import answerers_of, grounded, open_engine, open_library, open_upstream
from semcache.gptcache.functions import choose_of, extract_of
from semcache.installation import (
    Progress,
    make_private,
    open_embedder,
    open_store,
    read_secret,
    silent,
)
from semcache.interfaces import Candidate, Embedder, Library, Verifier
from semcache.journal import Journal
from semcache.keyring import KeyRing, learning
from semcache.keys import tenant_of
from semcache.pass_through import PassThrough
from semcache.policy import first
from semcache.server_keys import Doorkeeper, digest_of

if TYPE_CHECKING:
    from semcache.cag.engine import CagEngine
    from semcache.failover import Failover
    from semcache.grounding import Grounded
    from semcache.llm_judge import LlmJudge
    from semcache.store import LocalStore
    from semcache.verify.certified import CertifiedJudge
    from semcache.verify.verifier import PairVerifier


@dataclass(frozen=True, slots=True)
class Assembled:
    """A cache and the parts that its surroundings need to know by name.

    `doorkeeper` knows the keys of a server, where some are configured; `tenant_of` is for everybody
    else: it lets all in, apart from each other. `ring` has the keys of a sealed store.
    """

    cache: SemCache
    config: Config
    engine: CagEngine | None
    upstream: Failover | Grounded | None
    tenant_of: Callable[[str], str]
    doorkeeper: Doorkeeper | PassThrough | None = None
    ring: KeyRing | None = None

    @property
    def admin_keys(self) -> tuple[str, ...]:
        """SHA-256 of the keys that open the admin routes: the directory's own, and configured ones.

        Raises ConfigError.
        """
        own = read_admin_key(self.config.gptcache.data_dir)
        return (digest_of(own), *self.config.server.admin_keys)

    @property
    def embedding_names(self) -> tuple[str, ...]:
        """The model names that `/v1/embeddings` answers to."""
        if self.cache.layers.embedder is None:
            return ()
        return (Path(self.config.encoder.model).name,)

    @property
    def grounded(self) -> Grounded | None:
        """The upstream, where it is given the documents."""
        return grounded(self.upstream)

    @property
    def default_model(self) -> str:
        """The model that answers where a caller cannot name one (`/put`, `/get`)."""
        names = [name for answerer in self.cache.answerers for name in answerer.models()]
        return names[0] if names else "semcache"

    async def refresh(self) -> None:
        """Follow the knowledge folder: a new prefix, and what the old one fed goes stale."""
        engine = self.engine
        if engine is not None and await asyncio.to_thread(engine.reload_knowledge):
            await self.cache.knowledge_changed(engine.name, engine.keyed_knowledge)
        given = self.grounded
        if given is not None and await asyncio.to_thread(given.reload_knowledge, silent):
            await self.cache.knowledge_changed(given.name, given.keyed_knowledge)


def build(
    config: Config, progress: Progress = silent, *, verifier: Verifier | None = None
) -> Assembled:
    """Make the parts and put them together. Blocking: the models are loaded here.

    `verifier` judges in place of the packaged one. Encoder and store have sketches where there is
    one to read them. `progress` gets a line for each slow step. Raises ConfigError and StoreError.
    """
    with ExitStack() as undo:
        parts = _opened(config, progress, verifier, undo)
        undo.pop_all()
    cache = _cache_of(config, parts)
    cache.recording.recent.show_questions = config.shows_questions
    tenants = lru_cache(maxsize=4096)(lambda key: tenant_of(parts.secret, key))
    told = learning(tenants, parts.ring if _sealed_for_callers(config) else None)
    return Assembled(cache, config, parts.engine, parts.upstream, told, parts.door, parts.ring)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What was opened, each as far as it is configured."""

    directory: Path
    secret: bytes
    ring: KeyRing | None
    door: Doorkeeper | PassThrough | None
    embedder: Embedder | None
    verifier: Verifier | None
    certified: CertifiedJudge | None
    store: LocalStore
    library: Library | None
    upstream: Failover | Grounded | None
    engine: CagEngine | None


def _opened(
    config: Config, progress: Progress, verifier: Verifier | None, undo: ExitStack
) -> _Parts:
    """Open one after another; `undo` closes what was opened, should a later one fail."""
    directory = make_private(config.gptcache.data_dir)
    secret = read_secret(directory)
    ring = open_ring(config, secret)
    door = open_door(config, directory, secret, ring)
    if door is not None:
        undo.callback(door.close)
    embedder, verifier, certified = _judging(config, progress, verifier, directory, undo)
    store = open_store(config, embedder, sketches=verifier is not None, ring=ring)
    undo.callback(store.close)
    library = open_library(config, directory, embedder, progress)
    if library is not None:
        undo.callback(library.close)
    upstream = open_upstream(config, library, progress)
    engine = open_engine(config, directory, embedder, library, progress)
    for reader in (engine, grounded(upstream)):
        if reader is not None:
            store.expire_knowledge(reader.name, reader.keyed_knowledge, time.time())
    return _Parts(
        directory,
        secret,
        ring,
        door or open_pass_through(config, secret, upstream, ring),
        embedder,
        verifier,
        certified,
        store,
        library,
        upstream,
        engine,
    )


def _judging(
    config: Config,
    progress: Progress,
    verifier: Verifier | None,
    directory: Path,
    undo: ExitStack,
) -> tuple[Embedder | None, Verifier | None, CertifiedJudge | None]:
    """The encoder, who judges near-duplicates, and the same once more where it is certified."""
    packaged = _open_verifier(config) if verifier is None else None
    wanted = verifier is not None or packaged is not None
    embedder = open_embedder(config, progress, sketches=wanted)
    if embedder is None:
        return None, verifier, None
    undo.callback(embedder.close)
    certified = _certified(config, verifier or packaged, directory)
    if certified is not None:
        undo.callback(certified.close)
        return embedder, certified, certified
    if packaged is not None:
        verifier = _fitting(packaged, embedder, progress)
    return embedder, verifier, None


def _cache_of(config: Config, parts: _Parts) -> SemCache:
    gptcache, ring, engine, door = config.gptcache, parts.ring, parts.engine, parts.door
    return SemCache(
        store=parts.store,
        embedder=parts.embedder,
        answerers=answerers_of(config, engine, parts.upstream),
        verifier=parts.verifier,
        supervisor=parts.certified,
        settings=config.policy_settings(),
        extract=extract_of(gptcache.pre_function, gptcache.prompts, gptcache.template),
        choose=_chooser(config),
        journal=Journal(parts.directory / "feedback.db", mark=None if ring is None else ring.mark),
        memory_bytes=0 if _sealed_for_callers(config) else config.store.memory_bytes,
        threads=config.store.threads,
        sharing=frozenset() if engine is None else frozenset({engine.name}),
        library=parts.library,
        promotion=open_promotion(config, parts.directory, parts.secret),
        closing=() if door is None else (door.close,),
    )


def _sealed_for_callers(config: Config) -> bool:
    """Whether nothing may be in memory for longer than it is asked for."""
    return config.store.encryption == "caller"


def _chooser(config: Config) -> Callable[[Sequence[Candidate]], Candidate]:
    """GPTCache's post function, at the temperature at which requests use the cache."""
    if config.gptcache.post_function in {"first", "nop"}:
        return first
    choose = choose_of(config.gptcache.post_function)
    chance = random.Random()  # noqa: S311 - which answer is served is no secret
    temperature = config.policy.max_temperature
    return lambda candidates: choose(candidates, chance, temperature)


def _open_verifier(config: Config) -> PairVerifier | None:
    """The packaged verifier, where near-duplicates are looked for and it is wanted."""
    wanted = config.trust.verifier or config.trust.max_wrong_rate is not None
    if not (wanted and config.gptcache.semantic):
        return None
    from semcache.verify.verifier import PairVerifier

    return PairVerifier.open(threshold=config.trust.threshold)


def _certified(config: Config, verifier: Verifier | None, directory: Path) -> CertifiedJudge | None:
    """The judge that keeps the bound, where one is asked for and near-duplicates are looked for."""
    trust = config.trust
    if trust.max_wrong_rate is None or verifier is None:
        return None
    from semcache import guards
    from semcache.verify.certified import Guarding
    from semcache.verify.certify import Terms
    from semcache.verify.opening import open_judge

    return open_judge(
        verifier,
        Terms(trust.max_wrong_rate, trust.confidence, trust.per),
        directory / "labels.db",
        audit_share=trust.audit_share,
        packaged=trust.packaged_calibration,
        comparing=_judge_of_answers(config),
        guarding=Guarding(config.policy.guards, guards.refusal, trust.guards == "learned"),
    )


def _judge_of_answers(config: Config) -> LlmJudge | None:
    """The language model that compares answers, where one is named."""
    trust = config.trust
    base_url = trust.judge_url or config.upstream.base_url
    if trust.judge_model is None or base_url is None:
        return None
    from semcache.llm_judge import JudgeSettings, LlmJudge

    key = os.environ.get(trust.judge_key_env) or None
    return LlmJudge(JudgeSettings(base_url, trust.judge_model, key))


def _fitting(verifier: PairVerifier, embedder: Embedder, progress: Progress) -> Verifier | None:
    """The verifier, unless it was trained for other encoders: it would refuse everything."""
    if embedder.fingerprint in verifier.encoders:
        return verifier
    progress("the verifier was not trained for this encoder: gate and guards judge alone")
    return None
