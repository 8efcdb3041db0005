"""Drafts from what was said before: where they come from, and that they change no answer."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from semcache.cag.answering.drafting import Drafts
from semcache.chat import ChatRequest
from semcache.completion import Chunk
from tests.cag.asking import request, stream
from tests.cag.conftest import MakeEngine


def _slow(ids: list[int], most: int) -> list[int]:
    """The definition: the longest run of two to four equal tokens, then the latest place."""
    best: tuple[int, int] | None = None
    for end in range(len(ids) - 1):
        run = 0
        while run < 4 and run <= end and ids[end - run] == ids[len(ids) - 1 - run]:
            run += 1
        if run >= 2 and (best is None or (run, end) > best):
            best = (run, end)
    return [] if best is None else ids[best[1] + 1 :][:most]


def test_a_draft_follows_the_longest_run_that_came_before() -> None:
    rng = random.Random(2)
    proposed = 0
    for _ in range(60):
        prompt = [rng.randrange(4) for _ in range(rng.randrange(1, 90))]
        drafts = Drafts(prompt)
        for _ in range(40):
            token = rng.randrange(4)
            drafts.add(token)
            prompt.append(token)
            found = drafts.propose(5)
            assert found == _slow(prompt, 5)
            proposed += bool(found)
    assert proposed > 1000


@pytest.mark.parametrize("most", [0, -3])
def test_nothing_is_proposed_where_nothing_is_wanted(most: int) -> None:
    assert Drafts([1, 2, 3, 1, 2]).propose(most) == []


def test_trust_falls_with_refusals_and_rises_with_tokens_kept() -> None:
    drafts = Drafts([1])
    first = drafts.trust
    drafts.judge(4, 4)
    trusted = drafts.trust
    for _ in range(20):
        drafts.judge(4, 0)
    assert drafts.trust < 0.3 < first < trusted < 1


def _requests() -> list[ChatRequest]:
    """Answers that repeat what was said (logits pushed towards few tokens), ended in many ways."""
    asked = []
    for at in range(8):
        few = {str(token): 30 - at for token in range(20 + at, 24 + at)}
        options: dict[str, Any] = {"max_tokens": 12 + 3 * at, "logit_bias": few}
        if at % 4 == 1:
            options |= {"logprobs": True, "top_logprobs": 2}
        if at % 4 == 2:
            options |= {"frequency_penalty": 0.4, "n": 2}
        if at % 4 == 3:
            options |= {"stop": ["aaa", "77", "//"]}
        asked.append(request(f"Where is the kettle, the kettle, the {at}?", **options))
    return asked


def _said(chunks: list[Chunk]) -> tuple[Any, ...]:
    """Text, reasons, logprobs (rounded) and usage."""
    texts: dict[int, str] = {}
    reasons, scores = [], []
    for chunk in chunks:
        for choice in chunk.wire["choices"]:
            texts[choice["index"]] = texts.get(choice["index"], "") + (
                choice["delta"].get("content") or ""
            )
            reasons.append((choice["index"], choice["finish_reason"]))
            for one in (choice["logprobs"] or {}).get("content", ()):
                scores.append((one["token"], round(one["logprob"], 3)))
    return texts, sorted(r for r in reasons if r[1]), scores, chunks[-1].wire["usage"]


@pytest.mark.anyio
async def test_drafts_change_no_answer_and_save_passes(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What passes cost here is not measured: the test must not depend on how busy the machine is.
    monkeypatch.setattr("semcache.cag.turning.pace.Pace.note", lambda *noted: None)
    found, passes = [], []
    for speculate in (False, True):
        engine = make_engine(speculate=speculate, end_loops=False)
        network = engine._ready().loaded.model.network
        forward = network.forward
        calls: list[None] = []

        def counted(*args: Any, _forward: Any = forward, _calls: Any = calls, **read: Any) -> Any:
            _calls.append(None)
            return _forward(*args, **read)

        monkeypatch.setattr(network, "forward", counted)
        alone = [_said(await stream(engine, one)) for one in _requests()]
        passes.append(len(calls))
        together = await asyncio.gather(*(stream(engine, one) for one in _requests()))
        assert [_said(chunks) for chunks in together] == alone
        found.append(alone)
    assert found[0] == found[1]
    assert passes[1] < 0.9 * passes[0]
