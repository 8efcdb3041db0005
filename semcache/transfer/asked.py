"""What is to be asked ahead: a line of a list of questions, of requests, or of a log.

How tall is the Eiffel Tower?                       a question
{"question" | "messages" | "prompt", "model"?, …}   a request
{"body": {request}, …}                              a line of OpenAI's batch input
{"request": {…}, "response": {…}}                   a line of a log: the answer is there already
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from semcache.chat import ChatRequest, read_question_body
from semcache.completion import Completion
from semcache.errors import RequestError
from semcache.transfer.lines import checked_completion


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose requests they are, and what those that do not say get: model and system prompt."""

    tenant: str
    model: str
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and its answer where a log has it."""

    number: int
    request: ChatRequest
    answer: Completion | None = None


def asked_of(number: int, line: bytes, asker: Asker) -> Asked | None:
    """None for an empty line. Raises RequestError with the reason."""
    try:
        text = line.decode().strip()
    except UnicodeDecodeError:
        raise RequestError("It is not UTF-8.") from None
    if not text:
        return None
    if not text.startswith("{"):
        return Asked(number, _request({"question": text}, asker))
    said = _object(text)
    if "request" not in said:
        body = said.get("body", said)
        answer = said.get("response") if body is said else None
        return Asked(number, _request(_object(body), asker), _answer(answer))
    return Asked(number, _request(_object(said["request"]), asker), _answer(said.get("response")))


def _object(said: Any) -> dict[str, Any]:
    """An object, also where it stands as a text of JSON, as many logs have it."""
    try:
        found = orjson.loads(said) if isinstance(said, str) else said
    except orjson.JSONDecodeError:
        raise RequestError("It is not JSON.") from None
    if not isinstance(found, dict):
        raise RequestError("It holds no request.")
    return found


def _request(body: dict[str, Any], asker: Asker) -> ChatRequest:
    own = {"response", "stream", "stream_options"}
    fields = {name: value for name, value in body.items() if name not in own}
    if asker.system is not None and "question" in fields:
        asked = {"role": "user", "content": fields.pop("question")}
        fields["messages"] = [{"role": "system", "content": asker.system}, asked]
    return read_question_body(fields, tenant=asker.tenant, model=asker.model)


def _answer(said: Any) -> Completion | None:
    if said is None:
        return None
    found = _object(said)
    body = found.get("body", found)  # OpenAI's batch output wraps it
    return Completion(checked_completion(body))
