"""What a request asks of the engine, checked. Pure; knows no model.

What the engine cannot do is refused by name, never ignored: a caller who asks for JSON or a tool
call must not get prose.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semcache.cag.settings import CagSettings
from semcache.chat import ChatRequest
from semcache.errors import RequestError

_MAX_STOPS = 16


@dataclass(frozen=True, slots=True)
class Options:
    """`logprobs` is how many alternatives to tell beside each token's own, None for no telling.

    `logit_bias` maps token ids to what is added to their logits. A seed is always there: drawn
    here where the caller gave none.
    """

    choices: int
    max_tokens: int
    temperature: float
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    logit_bias: Mapping[int, float]
    seed: int
    stops: tuple[str, ...]
    logprobs: int | None
    end_loops: bool = False


def read_options(request: ChatRequest, settings: CagSettings) -> Options:
    """Read a request's options. Raises RequestError, naming the field."""
    given = {name: value for name, value in request.options.items() if value is not None}
    _refuse_unsupported(given, request.kind)
    choices = given.get("n", 1)
    if choices > settings.max_choices:
        raise RequestError(f"'n' may be at most {settings.max_choices} here.", param="n")
    if given.get("best_of", choices) != choices:
        raise RequestError("'best_of' must equal 'n': the engine does not rank.", param="best_of")
    seed = given.get("seed")
    return Options(
        choices=choices,
        max_tokens=given.get("max_completion_tokens", given.get("max_tokens", settings.max_tokens)),
        temperature=float(given.get("temperature", 0)),
        top_p=float(given.get("top_p", 1)),
        presence_penalty=float(given.get("presence_penalty", 0)),
        frequency_penalty=float(given.get("frequency_penalty", 0)),
        logit_bias=_logit_bias(given.get("logit_bias", {})),
        seed=secrets.randbits(63) if seed is None else seed,
        stops=_stops(given.get("stop", ())),
        logprobs=_logprobs(given, request.kind),
        end_loops=settings.end_loops,
    )


def _refuse_unsupported(given: Mapping[str, Any], kind: str) -> None:
    for name in ("tools", "functions", "audio", "web_search_options"):
        if given.get(name):
            raise RequestError(
                f"The local engine does not support '{name}': it answers with text from its "
                "documents. Ask another model, or leave the field out.",
                param=name,
            )
    if given.get("response_format", {"type": "text"})["type"] != "text":
        raise RequestError(
            "The local engine cannot promise a 'response_format' other than text.",
            param="response_format",
        )
    if given.get("modalities", ["text"]) != ["text"]:
        raise RequestError("The local engine answers with text only.", param="modalities")
    if kind == "completion" and (given.get("suffix") or given.get("echo")):
        field = "suffix" if given.get("suffix") else "echo"
        raise RequestError(f"The local engine does not support '{field}'.", param=field)


def _stops(value: Any) -> tuple[str, ...]:
    stops = (value,) if isinstance(value, str) else tuple(value)
    if len(stops) > _MAX_STOPS:
        raise RequestError(f"'stop' may hold at most {_MAX_STOPS} texts here.", param="stop")
    return stops


def _logit_bias(value: Mapping[Any, Any]) -> dict[int, float]:
    biases = {}
    for token, bias in value.items():
        number = isinstance(bias, int | float) and not isinstance(bias, bool)
        if not (str(token).isdecimal() and number and -100 <= bias <= 100):
            raise RequestError(
                "'logit_bias' must map token ids to numbers from -100 to 100.", param="logit_bias"
            )
        biases[int(token)] = float(bias)
    return biases


def _logprobs(given: Mapping[str, Any], kind: str) -> int | None:
    asked = given.get("logprobs")
    if kind == "completion":
        return asked if isinstance(asked, int) and not isinstance(asked, bool) else None
    more: int = given.get("top_logprobs", 0)
    if more and asked is not True:
        raise RequestError("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
    return more if asked is True else None
