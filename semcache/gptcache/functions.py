"""GPTCache's `pre_function` and `post_function` names, as functions on our values.

A pre function of GPTCache makes one text of a request: that text is embedded *and* is the whole
key. Here it becomes an Extract: from the last user text to (question, frame). The question is what
GPTCache would have embedded; the frame is what it cut away, and goes into the scope, so that two
requests with another prompt around the same question never share an answer. The turns before are
in the scope already, so a pre function that adds them changes nothing.

A post function of GPTCache picks one of the answers that passed; here it picks a Candidate.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import orjson

from semcache.errors import ConfigError
from semcache.gptcache.threshold import DEFAULT_MAX_DISTANCE, squared_distance
from semcache.interfaces import Candidate
from semcache.keys import Extract, whole


class Randomness(Protocol):
    """What a Choose needs of `random.Random`."""

    def random(self) -> float:
        """A number from 0 up to, and without, 1."""
        ...


Choose: TypeAlias = Callable[[Sequence[Candidate], Randomness, float], Candidate]
"""Pick one of the candidates that may be served: (candidates, randomness, temperature)."""

_WHOLE = frozenset(
    {
        "all_content",
        "concat_all_queries",
        "get_image_question",
        "get_messages_last_content",
        "get_prompt",
        "last_content",
        "nop",
    }
)
_NOT_TEXT = "it reads a file or another field than the messages; use 'last_content'"
_REFUSED: Mapping[str, str] = {
    "get_file_bytes": _NOT_TEXT,
    "get_file_name": _NOT_TEXT,
    "get_image": "an image alone is no question; use 'get_image_question'",
    "get_input_image_file_name": "a file's name is not its content; use 'get_image_question'",
    "get_input_str": "it reads a file; use 'get_image_question'",
    "get_inputs": _NOT_TEXT,
    "get_openai_moderation_input": "moderation requests are not cached; use 'last_content'",
}
PRE_FUNCTIONS = _WHOLE | {"last_content_without_prompt", "last_content_without_template"}


# ---------------------------------------------------------------------------------- pre functions


def extract_of(
    pre_function: str, prompts: Sequence[str] = (), template: str | None = None
) -> Extract:
    """The Extract that a `pre_function` stands for.

    `prompts` and `template` are GPTCache's `config.prompts` and `config.template`. Raises
    ConfigError for a name that is unknown or cannot be served, and for a broken prompt or template.
    """
    if pre_function in _WHOLE:
        return whole
    if pre_function == "last_content_without_prompt":
        return without_prompts(prompts)
    if pre_function == "last_content_without_template":
        return whole if not template else without_template(template)
    if pre_function in _REFUSED:
        raise ConfigError(f"'pre_function: {pre_function}': {_REFUSED[pre_function]}.")
    known = ", ".join(sorted(PRE_FUNCTIONS))
    raise ConfigError(f"Unknown 'pre_function' '{pre_function}'. Known: {known}.")


def without_prompts(prompts: Sequence[str]) -> Extract:
    """Cut every match of the prompts out of the question.

    As in GPTCache each prompt is a regular expression and the first that matches wins. A text with
    nothing to cut, or nothing left, is matched whole. Raises ConfigError for a broken expression.
    """
    if not any(prompts):
        return whole
    try:
        pattern = re.compile("|".join(prompts))
    except re.error as error:
        message = f"'config.prompts' holds a broken regular expression ({error}); escape it."
        raise ConfigError(message) from None

    def extract(text: str) -> tuple[str, str]:
        kept: list[str] = []
        frame: list[str | None] = []
        at = 0
        for match in pattern.finditer(text):
            if match.start() == match.end():
                continue
            _keep(text[at : match.start()], kept, frame)
            frame.append(match.group())
            at = match.end()
        _keep(text[at:], kept, frame)
        asked = "".join(kept)
        if len(asked) == len(text) or not asked.strip():
            return whole(text)
        return asked, "prompts:" + orjson.dumps(frame).decode()

    return extract


def _keep(piece: str, kept: list[str], frame: list[str | None]) -> None:
    if piece:
        kept.append(piece)
        frame.append(None)


def without_template(template: str) -> Extract:
    """Match by the values that fill the template: `str(list(values))`, as GPTCache has it.

    A text that is not the filled template is matched whole (GPTCache takes what it finds, and gives
    all texts without the template's words one key). Raises ConfigError for a template without a
    variable, with two variables side by side, or with broken braces.
    """
    literals, names = _parse_template(template)

    def extract(text: str) -> tuple[str, str]:
        values = _values(text, literals, names)
        if values is None or not "".join(values.values()).strip():
            return whole(text)
        return str(list(values.values())), "template:" + template

    return extract


def _parse_template(template: str) -> tuple[list[str], list[str]]:
    """The texts around the variables (one more than these), and the variables' names."""
    literals = [""]
    names: list[str] = []
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"'config.template' is broken: {error}.") from None
    for literal, name, _, _ in parsed:
        literals[-1] += literal
        if name is None:
            continue
        if names and not literals[-1]:
            raise ConfigError("'config.template' has two variables with nothing between them.")
        names.append(name or str(len(names)))
        literals.append("")
    if not names:
        raise ConfigError("'config.template' has no variable: write one as {name}.")
    return literals, names


def _values(text: str, literals: Sequence[str], names: Sequence[str]) -> dict[str, str] | None:
    """The values that make `text` of the template, each as short as can be, or None.

    Linear in the text: where any choice of places fits, the leftmost one does. (Only a variable
    that comes twice could need another choice; such a text is matched whole.)
    """
    if not text.startswith(literals[0]):
        return None
    at = len(literals[0])
    end = len(text) - len(literals[-1])
    if end < at or not text.endswith(literals[-1]):
        return None
    values: dict[str, str] = {}
    for index, (name, after) in enumerate(zip(names, literals[1:], strict=True), start=1):
        found = end if index == len(names) else text.find(after, at, end)
        if found < 0 or values.setdefault(name, text[at:found]) != text[at:found]:
            return None
        at = found + len(after)
    return values


# --------------------------------------------------------------------------------- post functions


def choose_of(post_function: str) -> Choose:
    """The Choose that a `post_function` stands for. Raises ConfigError for an unknown name."""
    try:
        return POST_FUNCTIONS[post_function]
    except KeyError:
        known = ", ".join(sorted(POST_FUNCTIONS))
        message = f"Unknown 'post_function' '{post_function}'. Known: {known}."
        raise ConfigError(message) from None


def nearest(
    candidates: Sequence[Candidate], randomness: Randomness, temperature: float
) -> Candidate:
    """GPTCache's `first`; and its `nop`, since one request gets one answer here."""
    return max(candidates, key=lambda candidate: candidate.similarity)


def random_one(
    candidates: Sequence[Candidate], randomness: Randomness, temperature: float
) -> Candidate:
    """Any candidate, each as likely as another."""
    return candidates[int(randomness.random() * len(candidates))]


def temperature_softmax(
    candidates: Sequence[Candidate], randomness: Randomness, temperature: float
) -> Candidate:
    """The nearest at temperature 0; above it a draw by `softmax_weights`."""
    if temperature <= 0.0:
        return nearest(candidates, randomness, temperature)
    drawn = randomness.random()
    for candidate, weight in zip(candidates, softmax_weights(candidates, temperature), strict=True):
        drawn -= weight
        if drawn < 0.0:
            return candidate
    return candidates[-1]


def softmax_weights(candidates: Sequence[Candidate], temperature: float) -> list[float]:
    """How likely each candidate is: softmax over GPTCache's scores (4 − d²) by the temperature."""
    scores = [DEFAULT_MAX_DISTANCE - squared_distance(c.similarity) for c in candidates]
    highest = max(scores)
    grown = [math.exp((score - highest) / temperature) for score in scores]
    total = sum(grown)
    return [value / total for value in grown]


POST_FUNCTIONS: Mapping[str, Choose] = {
    "first": nearest,
    "nop": nearest,
    "random_one": random_one,
    "temperature_softmax": temperature_softmax,
}
