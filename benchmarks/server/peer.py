"""python -m benchmarks.server.peer: a minimal server around GPTCache's put and get.

What a careful user of GPTCache would write: Starlette on uvicorn with uvloop and httptools, and
each `get` in a thread, so that the event loop is never held up. GPTCache's own server does the same
on the event loop itself. The encoder is semcache's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from semcache.embedding import SentenceEncoder
from semcache.gptcache.loading import load_gptcache


def open_gptcache(folder: Path, threshold: float, encoder: SentenceEncoder) -> Any:
    """A GPTCache over SQLite and FAISS, filled with the folder's questions and vectors."""
    load_gptcache()
    from gptcache import Cache, Config
    from gptcache.manager import manager_factory
    from gptcache.processor.post import first
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    pairs: list[list[str]] = json.loads((folder / "entries.json").read_text())
    vectors: NDArray[np.float32] = np.load(folder / "vectors.npy")

    def embed(text: str, **_: Any) -> Any:
        return encoder.encode([text])[0].vector

    cache: Any = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager_factory(
            "sqlite,faiss",
            data_dir=str(folder / "gptcache"),
            vector_params={"dimension": encoder.dim},
            eviction_params={"max_size": 2 * len(pairs)},  # its `max_size` is for maps alone
        ),
        similarity_evaluation=SearchDistanceEvaluation(),
        post_process_messages_func=first,
        config=Config(similarity_threshold=threshold),
    )
    cache.data_manager.import_data(
        [question for question, _ in pairs],
        [answer for _, answer in pairs],
        list(vectors),
        [None] * len(pairs),
    )
    return cache


def build(cache: Any, threads: int) -> Starlette:
    """The application: `/put` and `/get` as gptcache_server has them."""
    from gptcache.adapter.api import get, put

    limiter = CapacityLimiter(threads)

    async def put_route(request: Request) -> Response:
        asked = await request.json()
        await to_thread.run_sync(
            lambda: put(asked["prompt"], asked["answer"], cache_obj=cache), limiter=limiter
        )
        return PlainTextResponse("successfully update the cache")

    async def get_route(request: Request) -> Response:
        prompt = (await request.json())["prompt"]
        answer = await to_thread.run_sync(lambda: get(prompt, cache_obj=cache), limiter=limiter)
        return JSONResponse({"prompt": prompt, "answer": answer})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(
        routes=[
            Route("/put", put_route, methods=["POST"]),
            Route("/get", get_route, methods=["POST"]),
            Route("/healthz", healthz),
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server.peer", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threshold", type=float, required=True, help="on GPTCache's scale")
    parser.add_argument("--threads", type=int, default=8, help="that look up at once")
    args = parser.parse_args(argv)
    cache = open_gptcache(args.folder, args.threshold, SentenceEncoder.open())
    uvicorn.run(
        build(cache, args.threads),
        host="127.0.0.1",
        port=args.port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
