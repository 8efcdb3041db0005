"""The three caches that are compared, behind one small face.

Each runs on a directory of its own with the same vectors and the same threshold, a cosine of .60,
and is configured at its best. They are filled in bulk, past their front doors: filling is not what
is measured.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from benchmarks.latency.world import DIM, Lookup, World
from semcache.cache import SemCache
from semcache.chat import ChatRequest, text_request
from semcache.completion import Completion, text_completion_of
from semcache.gptcache.loading import load_gptcache
from semcache.interfaces import Embedder, Encoded, Entry
from semcache.keys import request_key
from semcache.policy import PolicySettings
from semcache.store import LocalStore

COSINE = 0.6
GPTCACHE_THRESHOLD = 0.8
_TENANT, _MODEL = "bench", "bench-model"
_FILLING_THREADS = 64
_PLAIN = PolicySettings(guards=(), volatile="off", personal="off")


class Side(Protocol):
    """A cache: `get` gives the answer or None.

    `put_beside` is `put` while others put; `shares` says whether that is allowed.
    """

    name: str
    shares: bool

    def fill(self, world: World) -> None: ...

    async def get(self, text: str) -> str | None: ...

    async def put(self, text: str, answer: str) -> None: ...

    async def put_beside(self, text: str, answer: str) -> None: ...

    async def close(self) -> None: ...


class TableEmbedder:
    """The table as `interfaces.Embedder`."""

    dim, window, fingerprint = DIM, 256, "table"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def encode(self, texts: Any) -> list[Encoded]:
        """Vectors of the table; fourteen tokens, all known."""
        return [Encoded(self._lookup.vector(text), 14, False, 0.0) for text in texts]

    def close(self) -> None:
        """Nothing to give back."""


class Ours:
    """semcache in process: `SemCache.get` over its durable store, as the blocking client does."""

    name, shares = "semcache", True

    def __init__(self, directory: Path, lookup: Lookup) -> None:
        embedder: Embedder = TableEmbedder(lookup)
        self._lookup = lookup
        self._store = LocalStore(directory, dim=DIM, embedder=embedder.fingerprint)
        self._cache = self._guarded = SemCache(store=self._store, embedder=embedder)
        self._plain = SemCache(store=self._store, embedder=embedder, settings=_PLAIN)

    def judge(self, *, guards: bool) -> None:
        """With the defaults, or as the others do: by the distance alone."""
        self._cache = self._guarded if guards else self._plain

    def fill(self, world: World) -> None:
        """Puts from many threads, so that many share a commit."""

        def put(at: int) -> None:
            question = world.entries[at]
            key = request_key(self.request(question.stored))
            entry = Entry(
                key=key.exact,
                scope=key.scope,
                question=key.question,
                completion=_completion(question.answer),
                created_at=0.0,
                embedder="table",
            )
            self._store.put(entry, world.table[question.stored])

        with ThreadPoolExecutor(_FILLING_THREADS) as pool:
            for _ in pool.map(put, range(len(world.entries))):
                continue

    @staticmethod
    def request(text: str) -> ChatRequest:
        """The parsed request for a text."""
        return text_request(text, tenant=_TENANT, model=_MODEL)

    @staticmethod
    def wire(text: str) -> bytes:
        """The same request as a client sends it."""
        return orjson.dumps({"model": _MODEL, "messages": [{"role": "user", "content": text}]})

    async def get(self, text: str) -> str | None:
        """Ask, with a parsed request."""
        return await self.get_parsed(self.request(text))

    async def get_parsed(self, request: ChatRequest) -> str | None:
        """Ask; the answer's text."""
        reply = self._cache.get(request)
        return None if reply.rendered is None else reply.rendered.completion.text

    async def get_bytes(self, body: bytes) -> bytes | None:
        """From the bytes of a request to those of its response."""
        request = ChatRequest.from_wire(orjson.loads(body), tenant=_TENANT)
        reply = self._cache.get(request)
        return None if reply.rendered is None else reply.rendered.body(0)

    async def put(self, text: str, answer: str) -> None:
        """Durable when it returns."""
        await self._cache.put(self.request(text), _completion(answer))

    put_beside = put

    async def close(self) -> None:
        """Close cache and store."""
        await self._plain.aclose()
        await self._guarded.aclose()


def _completion(answer: str) -> Completion:
    return text_completion_of(answer, id="chatcmpl-0", created=0, model=_MODEL)


class GPTCache:
    """GPTCache's own put and get over its own SQLite and FAISS, nothing of ours in between."""

    name, shares = "gptcache", False  # puts from several threads crash it

    def __init__(self, directory: Path, lookup: Lookup, most: int) -> None:
        load_gptcache()
        from gptcache import Cache, Config
        from gptcache.adapter.api import get, put
        from gptcache.manager import manager_factory
        from gptcache.processor.post import first
        from gptcache.processor.pre import get_prompt
        from gptcache.similarity_evaluation import SearchDistanceEvaluation

        self._get, self._put = get, put
        self._manager: Any = manager_factory(
            "sqlite,faiss",
            data_dir=str(directory),
            vector_params={"dimension": DIM},
            eviction_params={"max_size": most},  # its `max_size` is for maps alone
        )
        self._cache: Any = Cache()
        self._cache.init(
            pre_embedding_func=get_prompt,
            embedding_func=lambda text, **_: lookup.vector(text),
            data_manager=self._manager,
            similarity_evaluation=SearchDistanceEvaluation(),
            post_process_messages_func=first,
            config=Config(similarity_threshold=GPTCACHE_THRESHOLD),
        )

    def fill(self, world: World) -> None:
        """Its own import, in batches."""
        for begin in range(0, len(world.entries), 5000):
            some = world.entries[begin : begin + 5000]
            self._cache.import_data([one.stored for one in some], [one.answer for one in some])

    async def get(self, text: str) -> str | None:
        """`gptcache.adapter.api.get`."""
        found: str | None = self._get(text, cache_obj=self._cache)
        return found

    async def put(self, text: str, answer: str) -> None:
        """`gptcache.adapter.api.put`; its vector reaches the disk with every twentieth."""
        self._put(text, answer, cache_obj=self._cache)

    put_beside = put

    async def close(self) -> None:
        """Close for good: at exit gptcache would write its index once more."""
        self._manager.close()
        self._manager.s._engine.dispose()
        self._manager.close = _nothing


def _nothing() -> None:
    return None


class Mneme:
    """mneme-cache on its SQLite store; HNSW where hnswlib is installed, else its NumPy index."""

    name, shares = "mneme", True

    def __init__(self, directory: Path, lookup: Lookup, most: int) -> None:
        from mneme import SemanticCache, SQLiteStore

        directory.mkdir(parents=True, exist_ok=True)
        self.hnsw = importlib.util.find_spec("hnswlib") is not None
        self._store: Any = SQLiteStore(directory / "mneme.db", cache_size_kb=64_000)
        self._cache: Any = SemanticCache(
            store=self._store,
            embedder=_MnemeEmbedder(lookup),
            similarity_threshold=COSINE,
            normalize=False,
            index_backend="hnsw" if self.hnsw else "numpy",
            index_options={"initial_max_elements": most} if self.hnsw else None,
        )

    def fill(self, world: World) -> None:
        """Rows one by one; the index in one go, since its own way takes minutes."""
        from mneme._normalize import hash_query
        from mneme._types import StoredEntry

        vectors = np.stack([world.table[one.stored] for one in world.entries])
        now = int(time.time())
        ids = [
            self._store.insert(
                StoredEntry(
                    id=0,
                    namespace="default",
                    query_hash=hash_query(one.stored),
                    query=one.stored,
                    response=one.answer,
                    embedding=row.tobytes(),
                    metadata={},
                    created_at=now,
                    last_accessed_at=now,
                    ttl=None,
                    access_count=0,
                )
            )
            for one, row in zip(world.entries, vectors, strict=True)
        ]
        index = self._cache._index
        if not self.hnsw:
            index.rebuild_from(zip(ids, vectors, ["default"] * len(ids), strict=True))
            return
        index._indexes["default"] = graph = index._make_index()
        graph.add_items(vectors, np.array(ids))
        index._row_id_to_ns.update(dict.fromkeys(ids, "default"))

    async def get(self, text: str) -> str | None:
        """`SemanticCache.get`."""
        hit = self._cache.get(text)
        return None if hit is None else str(hit.response)

    async def put(self, text: str, answer: str) -> None:
        """`SemanticCache.put`."""
        self._cache.put(text, answer)

    async def put_beside(self, text: str, answer: str) -> None:
        """In a thread, as its own async face does it."""
        await asyncio.to_thread(self._cache.put, text, answer)

    async def close(self) -> None:
        """Close the cache and its store."""
        self._cache.close()


class _MnemeEmbedder:
    dim, fingerprint = DIM, "table"

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def embed(self, text: str) -> Any:
        """The vector of one text."""
        return self._lookup.vector(text)
