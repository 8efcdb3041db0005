"""The same real sentences hit in GPTCache's FAISS store and in ours, pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gptcache import Cache, Config
from gptcache.adapter.api import get
from gptcache.manager import manager_factory
from gptcache.processor.post import nop
from gptcache.processor.pre import get_prompt
from gptcache.similarity_evaluation import SearchDistanceEvaluation

from semcache.embedding import SentenceEncoder
from semcache.gptcache import StoreDataManager, cosine_threshold
from semcache.interfaces import Vector
from semcache.store import LocalStore

STORED = """
How do I reset my password?
How can I cancel my subscription?
What is the refund policy?
Where is my order?
How do I change my delivery address?
Can I pay by bank transfer?
Do you ship to Norway?
How long is the warranty?
How do I install Python on Windows?
How do I install Python on Linux?
What is a virtual environment?
How do I read a file line by line in Python?
What causes high blood pressure?
How much water should I drink in a day?
What are the symptoms of the flu?
Is coffee bad for the heart?
How far is the moon from the earth?
Why is the sky blue?
Who wrote Don Quixote?
What is the capital of Australia?
""".split("\n")[1:-1]
ASKED = """
I forgot my password, what now?
How can I end my subscription?
Can I get my money back?
When will my parcel arrive?
I have moved: how do I tell you my new address?
Which ways to pay are there?
Do you deliver to Sweden?
For how many years is it guaranteed?
How can I install Python on a Windows machine?
How do I remove Python from Linux?
How do I make a virtual environment?
What is the best way to read a large text file in Python?
What lowers high blood pressure?
How many glasses of water a day are healthy?
How do I know that I have the flu?
Is tea good for the heart?
What is the distance between the earth and the moon?
Why is the sunset red?
Who is the author of Don Quixote?
What is the capital of Austria?
""".split("\n")[1:-1]


@pytest.mark.filterwarnings("ignore:The ``declarative_base")
def test_the_same_sentence_pairs_hit_as_in_gptcache(tmp_path: Path) -> None:
    encoder = SentenceEncoder.open()
    vectors: dict[str, Vector] = {}
    for text, encoded in zip(STORED + ASKED, encoder.encode(STORED + ASKED), strict=True):
        assert encoded.vector is not None
        vectors[text] = encoded.vector

    def embed(text: str, **_: Any) -> Vector:
        return vectors[text]

    theirs = manager_factory(
        "sqlite,faiss", data_dir=str(tmp_path / "a"), vector_params={"dimension": encoder.dim}
    )
    store = LocalStore(tmp_path / "b", dim=encoder.dim, embedder=encoder.fingerprint)
    hits: list[list[set[str]]] = []
    for manager in (theirs, StoreDataManager(store, embedder=encoder.fingerprint)):
        cache = Cache()
        cache.init(
            pre_embedding_func=get_prompt,
            embedding_func=embed,
            data_manager=manager,
            similarity_evaluation=SearchDistanceEvaluation(),
            post_process_messages_func=nop,
            config=Config(similarity_threshold=0.8),
        )
        cache.import_data(STORED, STORED)
        found = (get(question, cache_obj=cache, top_k=len(STORED)) for question in ASKED)
        hits.append([set(answers or ()) for answers in found])
        manager.close()
    theirs.s._engine.dispose()

    assert hits[0] == hits[1]
    cosines = np.array([[vectors[a] @ vectors[s] for s in STORED] for a in ASKED])
    ours = [{STORED[i] for i in np.flatnonzero(row >= cosine_threshold(0.8))} for row in cosines]
    assert ours == hits[0]
    assert 10 < sum(map(len, hits[0])) < 200
