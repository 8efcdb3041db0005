"""Words as angles in a plane, and GPTCache's Cache over our data manager with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from semcache.gptcache import StoreDataManager
from semcache.gptcache.loading import load_gptcache
from semcache.interfaces import Store, Vector

load_gptcache()

from gptcache import Cache  # noqa: E402
from gptcache.processor.pre import get_prompt  # noqa: E402
from gptcache.similarity_evaluation import SearchDistanceEvaluation  # noqa: E402

DIM = 8
ANGLES = {"sea": 0.0, "ocean": 20.0, "lake": 50.0, "moon": 90.0, "noon": 91.0}
OpenStore = Callable[[], Store]


def embed(text: str, **_: Any) -> Vector:
    """A vector of length 3 in a plane, at an angle known for each word."""
    angle = np.radians(ANGLES[text])
    vector = np.zeros(DIM)
    vector[:2] = 3.0 * np.cos(angle), 3.0 * np.sin(angle)
    return vector.astype(np.float32)


def cache_over(manager: StoreDataManager, evaluation: Any = None, **options: Any) -> Any:
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=embed,
        data_manager=manager,
        similarity_evaluation=evaluation or SearchDistanceEvaluation(),
        **options,
    )
    return cache


def only(manager: StoreDataManager, word: str, **options: Any) -> Any:
    found = manager.search(embed(word), **options)
    assert len(found) == 1
    return manager.get_scalar_data(found[0])
