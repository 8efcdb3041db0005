"""`/v1/embeddings` through the cache: item by item, in order; what is missing goes upstream."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from semcache.upstream import Upstream, UpstreamSettings
from tests.loopback import Loopback
from tests.server.serving import serving
from tests.upstream_double import embedding, vector_of


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[openai.OpenAI, Loopback]]:
    with Loopback(embedding) as upstream:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url, api_key="sk-operator"))
        with serving(tmp_path_factory.mktemp("embeddings"), relay) as http:
            url = f"{http.base_url}/v1"
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                yield client, upstream


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_partial_hits(served: tuple[openai.OpenAI, Loopback], form: Any) -> None:
    client, upstream = served
    options: dict[str, Any] = {"model": f"e-{form}"}
    if form is not None:
        options["encoding_format"] = form
    raw = client.embeddings.with_raw_response
    asked: list[list[Any]] = [
        ["a", "bb"],
        ["ccc", "bb", "a", "ccc"],
        ["bb"],
        [[5, 6], [5, 7]],
        [[5, 7]],
    ]
    sent: list[list[Any]] = [["a", "bb"], ["ccc"], [], [[5, 6], [5, 7]], []]
    status = ["MISS", "PARTIAL", "HIT", "MISS", "HIT"]
    before = len(upstream.requests)
    for items, missing, told in zip(asked, sent, status, strict=True):
        answer = raw.create(input=items, **options)
        assert answer.headers["x-semcache-status"] == told
        made = answer.parse()
        assert [one.index for one in made.data] == list(range(len(items)))
        if form == "base64":
            packed = [struct.pack("<3f", *vector_of(item)) for item in items]
            assert [base64.b64decode(one.embedding) for one in made.data] == packed  # type: ignore[arg-type]
        else:
            assert [one.embedding for one in made.data] == [vector_of(item) for item in items]
        assert made.model == "text-3"
        distinct = {str(item): len(item) for item in items}
        assert made.usage.prompt_tokens == made.usage.total_tokens == sum(distinct.values())
        if missing:
            assert upstream.requests[-1].json()["input"] == missing
    assert len(upstream.requests) == before + 3
    alone = client.embeddings.create(input="a", **options)  # a text is a list of one text
    assert len(upstream.requests) == before + 3
    assert alone.usage.total_tokens == 1


def test_headers_and_directives(served: tuple[openai.OpenAI, Loopback]) -> None:
    client, upstream = served
    raw = client.embeddings.with_raw_response
    ask: dict[str, Any] = {"model": "e", "encoding_format": "float"}
    stored = raw.create(input=["x", "y"], **ask)
    assert stored.headers["cache-status"] == 'semcache; fwd=miss; stored; detail="items=2"'
    partial = raw.create(input=["x", "z"], **ask)
    assert (
        partial.headers["cache-status"] == 'semcache; fwd=partial; stored; detail="items=2;hits=1"'
    )
    hit = raw.create(input=["z", "x"], **ask)
    assert hit.headers["cache-status"] == 'semcache; hit; detail="exact;items=2"'
    one = raw.create(input=["z"], **ask)
    assert one.headers["cache-status"].startswith("semcache; hit; key=")
    assert one.headers["age"] == "0"
    before = len(upstream.requests)
    anew = raw.create(input=["x"], extra_headers={"cache-control": "no-cache"}, **ask)
    assert anew.headers["x-semcache-status"] == "BYPASS"
    other = raw.create(input=["x"], dimensions=2, **ask)
    assert other.headers["x-semcache-status"] == "MISS"
    with pytest.raises(openai.APIStatusError) as refused:
        raw.create(input=["x", "new"], extra_headers={"cache-control": "only-if-cached"}, **ask)
    assert refused.value.status_code == 504
    assert len(upstream.requests) == before + 2


def test_bad_input_and_bad_answers(served: tuple[openai.OpenAI, Loopback]) -> None:
    client, upstream = served
    before = len(upstream.requests)
    wrongs: list[Any] = ["", [], [""], ["a", 3], [[]], [[1, "x"]], [[-1]], {"a": 1}, ["a"] * 2049]
    for wrong in wrongs:
        with pytest.raises(openai.BadRequestError, match="input"):
            client.embeddings.create(model="e", input=wrong)
    with pytest.raises(openai.BadRequestError, match="encoding_format"):
        client.embeddings.create(model="e", input="a", encoding_format="hex")  # type: ignore[arg-type]
    assert len(upstream.requests) == before
    for _ in range(2):
        with pytest.raises(openai.APIStatusError) as broken:
            client.embeddings.create(model="e", input=["short", "q"])
        assert broken.value.status_code == 502
    assert len(upstream.requests) == before + 2
    own = client.embeddings.create(model="all-MiniLM-L6-v2", input="a")
    assert len(own.data[0].embedding) == 384
    assert len(upstream.requests) == before + 2
