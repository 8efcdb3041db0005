"""Feedback and explanations over HTTP, by the official client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from semcache import cache_of
from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"


@pytest.fixture
def answerer() -> ScriptedAnswerer:
    return ScriptedAnswerer()


@pytest.fixture
def http(tmp_path: Path, answerer: ScriptedAnswerer) -> Iterator[httpx2.Client]:
    with serving(tmp_path, answerer) as client:
        yield client


@pytest.fixture
def client(http: httpx2.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, text: str, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.with_raw_response.create(model="m", messages=messages, **options)


def status(raw: Any) -> str:
    said: str = raw.headers["x-semcache-status"]
    return said


def semantic_hit(client: openai.OpenAI) -> Any:
    assert status(ask(client, HEIGHT)) == "MISS"
    raw = ask(client, HEIGHT_TOO)
    assert status(raw) == "SEMANTIC_HIT"
    return raw


def test_a_semantic_hit_names_its_decision_and_its_response_is_that_name(
    client: openai.OpenAI,
) -> None:
    raw = semantic_hit(client)
    assert raw.parse().id == f"chatcmpl-{raw.headers['x-semcache-decision']}"
    again = ask(client, HEIGHT_TOO)
    assert again.headers["x-semcache-decision"] != raw.headers["x-semcache-decision"]
    assert "x-semcache-decision" not in ask(client, HEIGHT).headers


@pytest.mark.parametrize("by", ["raw", "response", "decision", "entry"])
def test_a_wrong_answer_is_never_served_again(client: openai.OpenAI, by: str) -> None:
    raw = semantic_hit(client)
    named = {
        "raw": raw,
        "response": raw.parse(),
        "decision": raw.headers["x-semcache-decision"],
        "entry": int(raw.headers["x-semcache-entry-id"]),
    }
    done = cache_of(client).feedback(named[by], "wrong", comment="that is another tower")
    assert done["quarantined"] is True
    assert done["pair"] is (by != "entry")
    assert done["entry_id"] == int(raw.headers["x-semcache-entry-id"])
    assert status(ask(client, HEIGHT_TOO)) == "MISS"


def test_not_even_a_new_answer_under_the_same_key_is_served_for_it(client: openai.OpenAI) -> None:
    raw = semantic_hit(client)
    cache_of(client).feedback(raw, "wrong")
    fresh = ask(client, HEIGHT)
    assert status(fresh) == "MISS"
    with pytest.raises(openai.InternalServerError) as refused:
        ask(client, HEIGHT_TOO, extra_headers={"cache-control": "only-if-cached"})
    assert "refuted" in refused.value.response.headers["cache-status"]
    other = ask(client, "Tell me how tall the Eiffel Tower is")
    assert status(other) == "SEMANTIC_HIT"


def test_feedback_on_an_exact_hit_and_on_a_fresh_answer(client: openai.OpenAI) -> None:
    fresh = ask(client, HEIGHT).parse()
    exact = ask(client, HEIGHT)
    assert status(exact) == "HIT"
    done = cache_of(client).feedback(exact.parse(), "wrong")
    assert (done["quarantined"], done["pair"]) == (True, False)
    assert status(ask(client, HEIGHT)) == "MISS"
    assert cache_of(client).feedback(fresh, "wrong")["quarantined"] is True
    assert status(ask(client, HEIGHT)) == "MISS"


def test_a_confirmed_paraphrase_is_one_more_key(client: openai.OpenAI) -> None:
    raw = semantic_hit(client)
    done = cache_of(client).feedback(raw, "right")
    assert done["alias"] is True
    again = ask(client, HEIGHT_TOO)
    assert status(again) == "SEMANTIC_HIT"
    assert float(again.headers["x-semcache-similarity"]) == pytest.approx(1, abs=1e-3)
    assert cache_of(client).feedback(raw, "right")["alias"] is False


def test_another_tenants_id_is_as_unknown_as_any(
    http: httpx2.Client, client: openai.OpenAI
) -> None:
    raw = semantic_hit(client)
    with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="other", max_retries=0) as other:
        said = set()
        for name in (
            raw.headers["x-semcache-decision"],
            raw.parse().id,
            raw.headers["x-semcache-entry-id"],
            "chatcmpl-nobody",
            "999999",
            "9" * 40,
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                cache_of(other).feedback(name, "wrong")
            said.add(refused.value.response.text)
        assert len(said) == 1
    assert status(ask(client, HEIGHT_TOO)) == "SEMANTIC_HIT"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"id": "x", "verdict": "bad"}, "verdict"),
        ({"id": "x"}, "verdict"),
        ({"verdict": "right"}, "id"),
        ({"id": True, "verdict": "right"}, "id"),
        ({"id": "", "verdict": "right"}, "id"),
        ({"id": ["x"], "verdict": "right"}, "id"),
        ({"id": "x", "verdict": "right", "comment": 3}, "comment"),
        ({"id": "x", "verdict": "right", "comment": "c" * 5000}, "comment"),
        ({"id": "x", "verdict": "right", "verdikt": 1}, "verdikt"),
    ],
)
def test_bad_feedback(http: httpx2.Client, body: object, param: str | None) -> None:
    refused = http.post("/v1/cache/feedback", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert refused.json()["error"]["param"] == param


def test_explain_calls_nobody_and_counts_nothing(
    client: openai.OpenAI, answerer: ScriptedAnswerer, http: httpx2.Client
) -> None:
    semantic_hit(client)
    calls = len(answerer.calls)
    for _ in range(2):
        told = cache_of(client).explain(HEIGHT_TOO)
        assert told["decision"]["outcome"] == "hit"
        assert told["decision"]["tier"] == "semantic"
        assert told["candidates"][0]["question"] == HEIGHT
    unseen = cache_of(client).explain("How do I bake a sourdough bread?", model="m")
    assert unseen["decision"]["outcome"] == "miss"
    assert len(answerer.calls) == calls
    assert status(ask(client, "How do I bake a sourdough bread?")) == "MISS"


def test_explain_says_which_part_of_the_scope_differed(client: openai.OpenAI) -> None:
    ask(client, HEIGHT)
    system = {"role": "system", "content": "Be a pirate."}
    told = cache_of(client).explain(
        messages=[system, {"role": "user", "content": HEIGHT_TOO}], model="m"
    )
    assert told["decision"]["outcome"] == "miss"
    assert told["elsewhere"][0]["differs"] == ["context"]
    assert "system prompt" in told["elsewhere"][0]["said"]
    hotter = cache_of(client).explain(HEIGHT_TOO, max_tokens=5)
    assert hotter["elsewhere"][0]["differs"] == ["params"]


def test_explain_shows_another_tenant_nothing(http: httpx2.Client, client: openai.OpenAI) -> None:
    semantic_hit(client)
    with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="other", max_retries=0) as other:
        told = cache_of(other).explain(HEIGHT_TOO)
    assert told["decision"]["outcome"] == "miss"
    assert (told["candidates"], told["elsewhere"], told["exact"]) == ([], [], None)


@pytest.mark.parametrize(
    "body", [{}, {"question": ""}, {"question": 3}, {"question": "a", "prompt": "b"}, []]
)
def test_bad_explain(http: httpx2.Client, body: object) -> None:
    refused = http.post("/v1/cache/explain", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"


def test_explain_of_a_model_that_nobody_answers(http: httpx2.Client) -> None:
    refused = http.post("/v1/cache/explain", json={"question": "Why?", "model": "none"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")


def test_an_async_client(http: httpx2.Client, client: openai.OpenAI) -> None:
    raw = semantic_hit(client)

    async def say() -> dict[str, Any]:
        async with openai.AsyncOpenAI(base_url=f"{http.base_url}/v1", api_key="k") as made:
            told = await cache_of(made).explain(HEIGHT_TOO)
            assert told["decision"]["outcome"] == "hit"
            return await cache_of(made).feedback(raw.parse(), "wrong")

    assert asyncio.run(say())["quarantined"] is True
    assert status(ask(client, HEIGHT_TOO)) == "MISS"
