"""Documents in another server's prompts: whole and stable, or as passages; told as citations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest

from semcache.assembly import Assembled, build
from semcache.chat import ChatRequest
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.interfaces import Encoded
from tests.llama_server import llama_server
from tests.loopback import Json, Loopback, Seen

RETURNS = "# Returns\n\nA purchase may be returned within 14 days. The receipt is needed.\n"
LAMP = "# The HL-20 lamp\n\nThe HL-20 switches itself off after 20 minutes.\n"
ASKED = "After how many minutes does the HL-20 switch itself off?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "returns.md").write_text(RETURNS, encoding="utf-8")
    (folder / "lamp.md").write_text(LAMP, encoding="utf-8")
    return folder


def assembled(tmp_path: Path, base_url: str, **upstream: Any) -> Assembled:
    return build(
        Config.from_mapping(
            {
                "engines": ["upstream"],
                "cag": {"knowledge": str(tmp_path / "documents")},
                "storage_config": {"data_dir": str(tmp_path / "data")},
                "upstream": {"base_url": base_url, "knowledge": True, **upstream},
            }
        )
    )


def answered(seen: Seen) -> Json:
    message = {"role": "assistant", "content": f"answer {len(seen.body)}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Json(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


def request(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    return ChatRequest.from_wire({"model": "m", "messages": list(messages), **fields}, tenant="t")


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def ask(parts: Assembled, *requests: ChatRequest) -> list[tuple[str, dict[str, Any]]]:
    """How each was answered, and the answer's JSON."""

    async def all_of_them() -> list[tuple[str, dict[str, Any]]]:
        told = []
        for one in requests:
            reply = await parts.cache.ask(one)
            completion = await reply.completion()
            how = "shared" if reply.collapsed else type(reply.decision).__name__
            told.append((how, dict(completion.wire)))
        while len(asyncio.all_tasks()) > 1:  # an answer is stored after it was given
            await asyncio.sleep(0.01)
        return told

    return asyncio.run(all_of_them())


def closed(parts: Assembled) -> None:
    asyncio.run(parts.cache.aclose())


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback(answered) as server:
        yield server


def test_small_documents_are_the_same_first_words_of_every_prompt(
    folder: Path, tmp_path: Path, server: Loopback
) -> None:
    parts = assembled(tmp_path, server.base_url)
    system = {"role": "system", "content": "Be brief."}
    told = ask(parts, request(user(ASKED)), request(system, user("May I bring it back?")))
    closed(parts)
    first, second = (seen.json()["messages"] for seen in server.requests)
    assert first[0]["role"] == second[0]["role"] == "system"
    head = first[0]["content"]
    assert RETURNS.strip() in head
    assert LAMP.strip() in head
    assert second[0]["content"] == f"{head}\n\nBe brief."
    assert (first[1:], second[1:]) == ([user(ASKED)], [user("May I bring it back?")])
    for _, wire in told:
        assert [one["document"] for one in wire["citations"]] == ["lamp.md", "returns.md"]


def test_a_request_may_do_without_the_documents(
    folder: Path, tmp_path: Path, server: Loopback
) -> None:
    parts = assembled(tmp_path, server.base_url)
    bare = request(user(ASKED), knowledge=False, sources_in_text=False)
    told = ask(parts, request(user(ASKED)), bare)
    told += ask(parts, bare)
    closed(parts)
    assert [how for how, _ in told] == ["Miss", "Miss", "Hit"]
    given, without = (seen.json() for seen in server.requests)
    assert without == {"model": "m", "messages": [user(ASKED)]}
    assert given["messages"][0]["role"] == "system"
    assert "citations" in told[0][1]
    assert "citations" not in told[1][1]


def test_of_large_documents_the_best_passages_stand_before_the_question(
    folder: Path, tmp_path: Path, server: Loopback
) -> None:
    for at in range(12):
        text = f"# Shop {at}\n\nShop number {at} sells bicycles in street {at * 7}.\n"
        (folder / f"shop{at:02}.txt").write_text(text, encoding="utf-8")
    parts = assembled(tmp_path, server.base_url, knowledge_tokens=20, passages=2)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    texts = [{"type": "text", "text": ASKED}, picture]
    shops = "In which streets are shop number 3 and shop number 4?"
    elsewhere = "What is the capital of France?"
    told = ask(
        parts,
        request(user(ASKED)),
        request(user("Hi"), user(texts)),
        request(user(shops)),
        request(user(elsewhere)),
    )
    closed(parts)
    first, second, third, fourth = (seen.json()["messages"] for seen in server.requests)
    assert third[-1]["content"].count("\n[") == 2
    assert fourth == [user(elsewhere)]
    content = first[-1]["content"]
    assert content.startswith("Documents:\n\n[")
    assert content.endswith(f"switches itself off after 20 minutes.\n\nQuestion: {ASKED}")
    assert content.count("\n[") == 1  # no shop has anything of this question
    assert second[-1]["content"][1:] == texts
    assert "20 minutes" in second[-1]["content"][0]["text"]
    assert told[0][1]["citations"][0]["document"] == "lamp.md"


def test_a_changed_document_makes_answers_stale(
    folder: Path, tmp_path: Path, server: Loopback
) -> None:
    parts = assembled(tmp_path, server.base_url)
    assert [how for how, _ in ask(parts, request(user(ASKED)))] == ["Miss"]
    assert [how for how, _ in ask(parts, request(user(ASKED)))] == ["Hit"]
    (folder / "lamp.md").write_text(LAMP.replace("20 minutes", "35 minutes"), encoding="utf-8")
    asyncio.run(parts.refresh())
    assert [how for how, _ in ask(parts, request(user(ASKED)))] == ["Miss"]
    closed(parts)
    assert "35 minutes" in server.requests[-1].json()["messages"][0]["content"]
    again = assembled(tmp_path, server.base_url)
    assert [how for how, _ in ask(again, request(user(ASKED)))] == ["Hit"]
    closed(again)


def test_a_legacy_completion_goes_through_as_it_came(
    folder: Path, tmp_path: Path, server: Loopback
) -> None:
    parts = assembled(tmp_path, server.base_url)
    body = {"model": "m", "prompt": ASKED}
    ask(parts, ChatRequest.from_wire(body, tenant="t", kind="completion"))
    closed(parts)
    assert server.requests[0].json() == body


def test_documents_are_needed() -> None:
    with pytest.raises(ConfigError, match=r"cag\.knowledge"):
        Config.from_mapping(
            {"engines": ["upstream"], "upstream": {"base_url": "http://h/v1", "knowledge": True}}
        )


def test_a_real_server_answers_from_them_and_reads_them_once(folder: Path, tmp_path: Path) -> None:
    from semcache.cag.network.conversion import packaged_gguf

    with llama_server(str(packaged_gguf())) as base_url:
        parts = assembled(tmp_path, base_url)
        options = {"temperature": 0, "max_tokens": 24}
        (_, first), (_, second), (again, _) = ask(
            parts,
            request(user(ASKED), **options),
            request(user("Within how many days may I return a purchase?"), **options),
            request(user(ASKED), **options),
        )
        closed(parts)
        plain = openai.OpenAI(base_url=base_url, api_key="any")
        bare = plain.chat.completions.create(
            model="m", messages=[{"role": "user", "content": ASKED}], max_tokens=24, temperature=0
        )
        plain.close()
    assert "20 minutes" in first["choices"][0]["message"]["content"]
    assert "14 days" in second["choices"][0]["message"]["content"]
    assert again in {"Hit", "shared"}
    assert "20 minutes" not in str(bare.choices[0].message.content)
    read = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert read > 0.6 * second["usage"]["prompt_tokens"]


def test_the_lookups_vector_serves_to_find_the_passages(
    folder: Path, tmp_path: Path, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = assembled(tmp_path, server.base_url, knowledge_tokens=10)
    embedder = parts.cache.layers.embedder
    assert embedder is not None
    read: list[str] = []
    encode = type(embedder).encode

    def counted(self: Any, texts: Sequence[str]) -> list[Encoded]:
        read.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(type(embedder), "encode", counted)
    (_, first), (_, second) = ask(
        parts, request(user(f" {ASKED}\n")), request(user(ASKED), user("Is the receipt needed?"))
    )
    closed(parts)
    assert read == [f" {ASKED}\n", "Is the receipt needed?", f"{ASKED}\nIs the receipt needed?"]
    assert first["citations"][0]["document"] == "lamp.md"
    assert second["citations"]
