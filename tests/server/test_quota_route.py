"""A key with a quota over HTTP: what is made is paid for, what is cached may be free, then 429."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import openai
import pytest

from semcache.quotas import Ledger, Quota
from semcache.server_keys import Doorkeeper, ServerKey
from tests.scripted import ScriptedAnswerer
from tests.server.serving import SECRET, serving


def test_an_empty_purse_buys_only_what_is_cached(tmp_path: Path) -> None:
    quotas = {
        "frugal": Quota(tokens_per_day=16),
        "counted": Quota(requests_per_day=2, count_hits=True),
    }
    keys = [
        ServerKey(name, sha256(name.encode()).hexdigest(), quota=quota)
        for name, quota in quotas.items()
    ]
    ledger = Ledger(tmp_path / "quotas.db", lambda: 1_800_000_000.0)
    door = Doorkeeper(keys, SECRET, lambda: 0.0, ledger)
    answerer = ScriptedAnswerer()  # every answer says that it had 8 tokens
    with serving(tmp_path, answerer, door=door.tenant_of, caller_of=door.caller_of) as http:

        def ask(key: str, text: str, stream: bool = False) -> None:
            with openai.OpenAI(base_url=f"{http.base_url}/v1", api_key=key) as client:
                said = client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": text}], stream=stream
                )
                assert not stream or list(said)

        for _ in range(3):
            ask("frugal", "hi")
        ask("frugal", "ho", stream=True)
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError) as told:
                ask("frugal", "What else is there?", stream)
        assert told.value.code == "insufficient_quota"
        assert int(told.value.response.headers["retry-after"]) > 60
        ask("frugal", "hi")
        ask("frugal", "ho")
        ask("counted", "hi")
        ask("counted", "hi")
        with pytest.raises(openai.RateLimitError):
            ask("counted", "hi")
    assert len(answerer.calls) == 3
    door.close()
