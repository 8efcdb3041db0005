"""GPTCache's DataManager over our store.

    from semcache.gptcache import StoreDataManager      # first: it makes importing gptcache safe
    from gptcache import Cache
    from gptcache.adapter.api import get, put
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation
    from semcache.store import LocalStore

    store = LocalStore(Path("answers"), dim=384, embedder="my-encoder")     # or another store
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=encode,          # takes a text (and keywords), returns 384 numbers
        data_manager=StoreDataManager(store, embedder="my-encoder"),
        similarity_evaluation=SearchDistanceEvaluation(),
    )
    put("What is RFC 9111?", "HTTP caching.", cache_obj=cache)
    get("What is RFC 9111 about?", cache_obj=cache)

What differs from GPTCache's own managers: an answer is durable when `put` returns; a second put of
a question replaces the first answer; vectors of two encoders never meet; nothing is pickled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from semcache.errors import ConfigError, RequestError, StoreError
from semcache.gptcache.entries import (
    Asked,
    Dependency,
    EntryId,
    Said,
    answers_of,
    asked_of,
    embedding_of,
    entry_of,
    scope_of,
    unit_vector,
)
from semcache.gptcache.loading import load_gptcache
from semcache.gptcache.sessions import Sessions
from semcache.gptcache.threshold import squared_distance
from semcache.interfaces import Entry, Store, Vector

load_gptcache()

from gptcache.manager.data_manager import DataManager  # noqa: E402
from gptcache.manager.scalar_data.base import (  # noqa: E402
    Answer,
    CacheData,
    Question,
    QuestionDep,
)

_LOG = logging.getLogger(__name__)


class StoreDataManager(DataManager):  # type: ignore[misc]
    """GPTCache's data manager, over any semcache Store.

    `embedder` identifies the encoder behind `embedding_func`: the fingerprint that the store was
    opened with. `tenant` partitions the store. `top_k`: candidates of a search that does not say.
    `ttl_s`: seconds that an answer stays valid; None: for good. `close` closes the store too,
    unless `owns_store` is False.

    A Question with dependencies (the image of visual question answering) is found only by a search
    that names equal ones: `cache_context={"search_func": {"deps": [...]}}`. With
    `exact_dependencies=False` all questions are searched together and, as in GPTCache, comparing
    the dependencies is left to the evaluation.

    Methods raise StoreError where the store fails, EmbeddingError for a vector that is none,
    RequestError for a question or an answer that cannot be stored, and the first `save` raises
    ConfigError where the store does not search by vectors of this encoder.
    """

    o = None
    """GPTCache's object store: there is none, an answer is stored in its row."""

    def __init__(
        self,
        store: Store,
        *,
        embedder: str,
        tenant: str = "gptcache",
        top_k: int = 1,
        ttl_s: float | None = None,
        exact_dependencies: bool = True,
        owns_store: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._tenant = tenant
        self._embedder = embedder
        self._top_k = top_k
        self._ttl_s = ttl_s
        self._exact_dependencies = exact_dependencies
        self._owns_store = owns_store
        self._clock = clock
        self._sessions = Sessions(store, tenant)
        self._proven = False
        self._closing = threading.Lock()
        self._closed = False

    # ------------------------------------------------------------------------------------ writing

    def save(self, question: Any, answer: Any, embedding_data: Any, **kwargs: Any) -> None:
        """Store a question (text or Question) with its answer(s) and its embedding."""
        session = kwargs.get("session")
        name = session.name if session else None
        self._put(question, answer, unit_vector(embedding_data), name)

    def import_data(
        self,
        questions: Sequence[Any],
        answers: Sequence[Any],
        embedding_datas: Sequence[Any],
        session_ids: Sequence[str | None],
    ) -> None:
        """Store many at once; all vectors are checked before the first is written."""
        lengths = {len(questions), len(answers), len(embedding_datas), len(session_ids)}
        if len(lengths) != 1:
            raise RequestError("import_data needs as many answers and embeddings as questions.")
        vectors = [unit_vector(embedding) for embedding in embedding_datas]
        for row in zip(questions, answers, vectors, session_ids, strict=True):
            self._put(*row)

    def _put(self, question: Any, answer: Any, vector: Vector, session_id: str | None) -> None:
        asked = _asked(question)
        said = [Said(a.answer, int(a.answer_type)) for a in CacheData(question, answer).answers]
        deps = asked.dependencies if self._exact_dependencies else ()
        scope = scope_of(self._tenant, self._embedder, deps)
        now = self._clock()
        entry = entry_of(scope, asked, said, vector, now, self._ttl_s)
        stored = self.store.put(entry, vector)
        self._prove_searchable(stored, vector)
        if session_id:
            self._sessions.add(session_id, stored, asked.content, now)

    def _prove_searchable(self, stored: Entry, vector: Vector) -> None:
        """Once: a store opened for another encoder would keep everything and find nothing."""
        if self._proven:
            return
        if not self.store.search(stored.scope, vector, 1):
            current = self.store.get(stored.key)
            if current is None or current.id != stored.id:
                return  # replaced in between, by another thread: the next put proves it
            self.store.remove([stored.key])
            message = (
                f"The store does not search by vectors of '{self._embedder}': open it with it."
            )
            raise ConfigError(message)
        self._proven = True

    # ------------------------------------------------------------------------------------ reading

    def search(self, embedding_data: Any, **kwargs: Any) -> list[tuple[float, EntryId]]:
        """The nearest entries, as (squared L2 distance of the unit vectors, id), nearest first."""
        top_k = kwargs.get("top_k", -1)
        extra = kwargs.get("extra_param")
        deps = extra.get("deps") if isinstance(extra, Mapping) and self._exact_dependencies else ()
        scope = scope_of(self._tenant, self._embedder, _dependencies(deps))
        count = self._top_k if top_k is None or top_k < 1 else top_k
        now = self._clock()
        return [
            (squared_distance(found.similarity), EntryId.of(found.entry))
            for found in self.store.search(scope, unit_vector(embedding_data), count)
            if found.entry.expires_at is None or found.entry.expires_at > now
        ]

    def get_scalar_data(self, res_data: Sequence[Any], **kwargs: Any) -> Any:
        """The CacheData of a search result; None where it is gone or the session may not have it.

        An id that no search returned is looked for in the whole store.
        """
        entry = self._entry(res_data[1])
        if entry is None:
            return None
        answers = [Answer(said.content, said.type) for said in answers_of(entry)]
        session = kwargs.get("session")
        rows = self._sessions.of_entry(entry) if session else []
        names = [row.session_id for row in rows]
        if session and not session.check_hit_func(
            session.name, names, [row.session_question for row in rows], answers[0].answer
        ):
            return None
        return CacheData(
            question=_question(asked_of(entry)),
            answers=answers,
            embedding_data=embedding_of(entry),
            session_id=names,
            create_on=datetime.fromtimestamp(entry.created_at),
            last_access=datetime.fromtimestamp(entry.used_at or entry.created_at),
        )

    def _entry(self, entry_id: int) -> Entry | None:
        if isinstance(entry_id, EntryId):
            return entry_id.entry
        ours = (
            e for e in self.store.scan() if e.id == entry_id and "gptcache" in e.completion.wire
        )
        return next((e for e in ours if e.scope.tenant == self._tenant), None)

    def hit_cache_callback(self, res_data: Sequence[Any], **kwargs: Any) -> None:
        """Count a hit for a search result: eviction goes by it."""
        self.store.touch({int(res_data[1]): 1}, self._clock())

    def report_cache(
        self,
        user_question: str,
        cache_question: str,
        cache_question_id: int,
        cache_answer: str,
        similarity_value: float,
        cache_delta_time: float,
    ) -> None:
        """Log a hit (at debug level, without the texts); no row is written for it."""
        seen = (cache_question_id, similarity_value, cache_delta_time)
        _LOG.debug("hit: entry %d, score %.4f, %.6f s", *seen)

    # ----------------------------------------------------------------------------------- sessions

    def add_session(
        self, res_data: Sequence[Any], session_id: str, pre_embedding_data: Any
    ) -> None:
        """Note that a session was served a search result for this question."""
        entry = self._entry(res_data[1])
        if entry is not None:
            self._sessions.add(session_id, entry, str(pre_embedding_data), self._clock())

    def list_sessions(self, session_id: str | None = None, key: int | None = None) -> list[Any]:
        """The rows of an entry (`key`), the row ids of a session, or all sessions' names."""
        if key:
            entry = self._entry(key)
            return [] if entry is None else list(self._sessions.of_entry(entry))
        rows = self._sessions.every()
        if session_id:
            return [row.id for row in rows if row.session_id == session_id]
        return sorted({row.session_id for row in rows})

    def delete_session(self, session_id: str) -> None:
        """Forget a session; the entries that it asked for stay, as in GPTCache's SQL stores."""
        self._sessions.drop(session_id, self._clock())

    # ------------------------------------------------------------------------------------ the end

    @property
    def v(self) -> StoreDataManager:
        """GPTCache's vector store, as far as its `data_check` asks for it."""
        return self

    def get_embeddings(self, data_id: int) -> Vector | None:
        """The unit vector of an entry."""
        entry = self._entry(data_id)
        return None if entry is None else embedding_of(entry)

    def flush(self) -> None:
        """Write hit counters and the index file; the entries are durable already."""
        if not self._closed:
            self.store.flush()

    def close(self) -> None:
        """Flush, and close the store. Again and again is fine: GPTCache calls it at exit."""
        with self._closing:
            if self._closed:
                return
            try:
                self.store.flush()
            except StoreError:
                if self._owns_store:
                    raise
                _LOG.debug("a borrowed store was closed by its owner before us")
            self._closed = True
            if self._owns_store:
                self.store.close()


def _asked(question: Any) -> Asked:
    content = question.content if isinstance(question, Question) else question
    if not isinstance(content, str):
        kind = type(content).__name__
        raise RequestError(f"A question must be a text, not {kind}; set 'pre_embedding_func'.")
    deps = question.deps if isinstance(question, Question) else None
    return Asked(content, _dependencies(deps))


def _dependencies(deps: Iterable[Any] | None) -> tuple[Dependency, ...]:
    """GPTCache's QuestionDeps, as objects or as the dicts of its `cache_context`."""
    made = (QuestionDep.from_dict(dep) if isinstance(dep, dict) else dep for dep in deps or ())
    return tuple(Dependency(dep.name, dep.data, int(dep.dep_type)) for dep in made)


def _question(asked: Asked) -> Any:
    """A text where there are no dependencies, else a Question, as GPTCache's SQL store returns."""
    if not asked.dependencies:
        return asked.content
    deps = [QuestionDep(dep.name, dep.data, dep.type) for dep in asked.dependencies]
    return Question(asked.content, deps)
