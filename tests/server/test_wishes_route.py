"""A caller's wishes over HTTP: other gateways' headers and LiteLLM's body, with the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.scripted import ScriptedAnswerer
from tests.server.serving import serving

HEIGHT, HEIGHT_TOO = "How tall is the Eiffel Tower?", "What is the height of the Eiffel Tower?"


class Served:
    """A server, what answers behind it, and an official client in front."""

    def __init__(self, http: httpx2.Client, answerer: ScriptedAnswerer) -> None:
        self.answerer = answerer
        self.client = openai.OpenAI(base_url=f"{http.base_url}/v1", api_key="k", max_retries=0)

    def ask(self, text: str = HEIGHT, **options: Any) -> tuple[str, str]:
        """Status and `Cache-Status` of one answer."""
        raw = self.client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": text}], **options
        )
        return raw.headers["x-semcache-status"], raw.headers["cache-status"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    answerer = ScriptedAnswerer()
    with serving(tmp_path, answerer) as http:
        made = Served(http, answerer)
        yield made
        made.client.close()


def test_the_body_of_litellm_is_obeyed_and_reaches_nobody(served: Served) -> None:
    assert served.ask(extra_body={"cache": {"ttl": 60}})[0] == "MISS"
    status, told = served.ask()
    assert status == "HIT"
    assert 50 <= int(told.split("ttl=")[1].split(";")[0]) <= 60
    assert served.ask(extra_body={"cache": {"no-cache": True}})[0] != "HIT"
    assert all("cache" not in request.options for request in served.answerer.calls)


@pytest.mark.parametrize(
    "headers",
    [
        {"cf-aig-skip-cache": "true"},
        {"Helicone-Cache-Enabled": "false"},
        {"x-bt-use-cache": "never"},
    ],
)
def test_the_cache_can_be_left_out(served: Served, headers: dict[str, str]) -> None:
    served.ask()
    assert served.ask(extra_headers=headers)[0] == "BYPASS"
    assert served.ask()[0] == "HIT"
    assert len(served.answerer.calls) == 2


def test_a_namespace_is_a_cache_of_its_own(served: Served) -> None:
    mine = {"x-portkey-cache-namespace": "release-2"}
    assert served.ask()[0] == "MISS"
    assert served.ask(extra_headers=mine)[0] == "MISS"
    assert served.ask(extra_headers=mine)[0] == "HIT"
    assert served.ask(extra_body={"cache": {"namespace": "release-2"}})[0] == "HIT"
    assert served.ask(extra_headers={"x-semcache-namespace": "release-3"})[0] == "MISS"


def test_near_duplicates_can_be_refused_and_never_forced(served: Served) -> None:
    served.ask()
    assert served.ask(HEIGHT_TOO)[0] == "SEMANTIC_HIT"
    only = {"cache-control": "only-if-cached"}
    for wish in ({"x-semcache-tier": "exact"}, {"x-bf-cache-threshold": "0.99"}):
        with pytest.raises(openai.APIStatusError) as refused:
            served.ask(HEIGHT_TOO, extra_headers={**wish, **only})
        assert refused.value.status_code == 504
    far = "Which bridges cross the river Seine in Paris?"
    assert served.ask(far, extra_headers={"x-semcache-threshold": "0"})[0] == "MISS"
