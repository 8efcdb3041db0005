"""Asking an engine, and what a plain forward pass would have said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semcache.cag.engine import CagEngine
from semcache.cag.knowledge.reading import WholeReading
from semcache.cag.settings import CagSettings
from semcache.chat import ChatRequest
from semcache.completion import Chunk, Completion, collect
from semcache.interfaces import Embedder
from semcache.knowledge.library import Library
from semcache.knowledge.opening import open_library
from semcache.knowledge.settings import KnowledgeSettings
from semcache.store.frozen_vectors import FrozenVectors

UNFINISHED = "\ufffd"


def request(text: str | None = None, **fields: Any) -> ChatRequest:
    """A chat request with one user message, or with the messages given."""
    if text is not None:
        fields["messages"] = [{"role": "user", "content": text}]
    return ChatRequest.from_wire({"model": "tiny", **fields}, tenant="t")


def legacy(prompt: str, **fields: Any) -> ChatRequest:
    """A legacy completion request."""
    body = {"model": "tiny", "prompt": prompt, **fields}
    return ChatRequest.from_wire(body, tenant="t", kind="completion")


async def stream(engine: CagEngine, asked: ChatRequest) -> list[Chunk]:
    """All chunks of an answer."""
    return [chunk async for chunk in engine.answer(asked)]


async def ask(engine: CagEngine, asked: ChatRequest) -> Completion:
    """The whole answer."""
    return collect(await stream(engine, asked))


def whole_of(engine: CagEngine) -> WholeReading:
    """What an engine has read before any question: all documents, as one prefix."""
    reading = engine._ready().reading
    assert isinstance(reading, WholeReading)
    return reading


def library_of(
    settings: CagSettings, data_dir: Path, model: Path, embedder: Embedder | None = None
) -> Library | None:
    """The documents of `settings.knowledge`, measured by the tokenizer of a model's folder."""
    if settings.knowledge is None:
        return None
    data_dir.mkdir(exist_ok=True)
    return open_library(
        data_dir,
        settings.knowledge,
        KnowledgeSettings(passage_tokens=64),
        tokenizer=model / "tokenizer.json",
        embedder=embedder,
        freeze=FrozenVectors,
    )


Reason = Literal["stop", "length"]


class Oracle:
    """Greedy decoding with the library's own attention, the whole prompt anew for every token."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        network: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
        self._network: Any = network.eval()

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        """The logits after each token, (tokens, vocabulary)."""
        with torch.inference_mode():
            logits: torch.Tensor = self._network(torch.tensor([list(ids)]), use_cache=False).logits
        return logits[0]

    def greedy(self, prompt: Sequence[int], most: int) -> tuple[list[int], Reason]:
        """The tokens of the answer, and why it ends."""
        ids = list(prompt)
        answer: list[int] = []
        for _ in range(most):
            token = int(self.logits(ids)[-1].argmax())
            if token == self.tokenizer.eos_token_id:
                return answer, "stop"
            answer.append(token)
            ids.append(token)
        return answer, "length"

    def text(self, answer: Sequence[int]) -> str:
        """An answer's text, without an unfinished character at its end."""
        text: str = self.tokenizer.decode(answer, skip_special_tokens=True)
        return text.rstrip(UNFINISHED)

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        """The library's own reading of a conversation."""
        ids: list[int] = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        return ids
