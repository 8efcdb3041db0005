"""Pre and post functions, against GPTCache's own on the same texts."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semcache.completion import text_completion_of
from semcache.errors import ConfigError
from semcache.gptcache.functions import (
    PRE_FUNCTIONS,
    choose_of,
    extract_of,
    softmax_weights,
    without_prompts,
    without_template,
)
from semcache.gptcache.loading import load_gptcache
from semcache.gptcache.threshold import squared_distance
from semcache.interfaces import Candidate, Entry
from semcache.keys import Scope, Source

load_gptcache()

from gptcache import Config  # noqa: E402
from gptcache.processor import post, pre  # noqa: E402
from gptcache.utils import softmax  # noqa: E402

SCOPE = Scope("t", "m", Source(), "", "")


def _theirs(function: str, text: str, **config: Any) -> str:
    data = {"messages": [{"role": "user", "content": text}]}
    made = Config(**config)
    cut: str = getattr(pre, function)(data, prompts=made.prompts, cache_config=made)
    return cut


PROMPTS = [
    (["You are a poet. "], "You are a poet. Write of the sea."),
    (["You are a poet. ", "You are a cook. "], "You are a cook. Write of the sea."),
    (["Q: ", "\nA:"], "Q: How far is the moon?\nA:"),
    (["foo"], "foo2"),
    ([r"\d+ tokens: "], "12 tokens: and 7 tokens: go"),
    (["", "foo"], "foo2"),
    ([], "nothing to cut"),
    (["absent"], "nothing to cut"),
]


@pytest.mark.parametrize(("prompts", "text"), PROMPTS)
def test_prompts_are_cut_as_gptcache_cuts_them(prompts: list[str], text: str) -> None:
    asked, frame = extract_of("last_content_without_prompt", prompts)(text)
    assert asked == _theirs("last_content_without_prompt", text, prompts=prompts)
    assert bool(frame) == (asked != text)


def test_another_prompt_around_the_same_question_is_another_frame() -> None:
    extract = without_prompts(["poet: ", "cook: "])
    poet, cook = extract("poet: write"), extract("cook: write")
    assert poet[0] == cook[0] == "write"
    frames = {poet[1], cook[1], extract("writepoet: ")[1], extract("poet: poet: write")[1]}
    assert len(frames) == 4
    assert extract("poet: sing")[1] == poet[1]


def test_a_text_of_prompts_only_is_matched_whole() -> None:
    assert without_prompts(["foo"])("foo foo") == ("foo foo", "")


TEMPLATES = [
    ("tell me a joke about {subject}", "tell me a joke about animals"),
    ("{question}", "anything at all"),
    ("Translate to {language}: {text}", "Translate to French: good: day"),
    ("{} plus {}", "one plus two"),
    ("in {city}, on {day}: {what}", "in Paris, on Monday: what is open?\nAnd when?"),
]


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_templates_give_the_values_that_gptcache_finds(template: str, text: str) -> None:
    asked, frame = extract_of("last_content_without_template", template=template)(text)
    assert asked == _theirs("last_content_without_template", text, template=template)
    assert template in frame


@given(values=st.lists(st.text(alphabet="xyz ", min_size=1, max_size=6), min_size=3, max_size=3))
def test_a_filled_template_gives_back_its_values(values: list[str]) -> None:
    extract = without_template("A{}B{}C{}D")
    asked, frame = extract("A{}B{}C{}D".format(*values))
    if "".join(values).strip():
        assert (asked, frame) == (str(values), "template:A{}B{}C{}D")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("tell me a joke about {subject}", "what time is it?"),
        ("tell me a joke about {subject}", "please tell me a joke about cats"),
        ("about {subject}, please", "about cats"),
        ("abc{x}cba", "abcba"),
        ("{a} and {a}", "one and two"),
        ("say {x}", "say  "),
    ],
)
def test_a_text_that_is_not_the_filled_template_is_matched_whole(template: str, text: str) -> None:
    assert without_template(template)(text) == (text, "")


def test_doubled_braces_are_plain_ones() -> None:
    assert without_template("keep {{it}} and {x}")("keep {it} and this")[0] == "['this']"


def test_words_after_the_last_variable_belong_to_the_template() -> None:
    assert without_template("about {x}, please")("about a, please, please")[0] == "['a, please']"


@pytest.mark.parametrize("template", ["{a}{b}", "no variable", "broken {", "}"])
def test_a_template_that_fixes_nothing_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="template"):
        without_template(template)


@pytest.mark.parametrize(
    "name", ["last_content", "get_prompt", "all_content", "concat_all_queries"]
)
def test_the_others_leave_the_question_whole(name: str) -> None:
    assert extract_of(name)(" a question ") == (" a question ", "")


def test_every_pre_function_of_gptcache_is_mapped_or_refused_with_a_reason() -> None:
    own = {n for n, f in vars(pre).items() if callable(f) and f.__module__ == pre.__name__}
    own = {name for name in own if not name.startswith("_")}
    assert own >= PRE_FUNCTIONS
    for name in own - PRE_FUNCTIONS:
        with pytest.raises(ConfigError, match=f"'pre_function: {name}'"):
            extract_of(name)


# ------------------------------------------------------------------------------------------- post


def _candidate(name: str, similarity: float) -> Candidate:
    completion = text_completion_of(name, id=name, created=0, model="m")
    return Candidate(Entry(name, SCOPE, name, completion, 0.0), similarity)


CANDIDATES = [_candidate("a", 0.7), _candidate("b", 0.95), _candidate("c", 0.9)]


@pytest.mark.parametrize("name", ["first", "nop", "temperature_softmax"])
def test_the_nearest_answers_at_temperature_zero(name: str) -> None:
    assert choose_of(name)(CANDIDATES, random.Random(1), 0.0).entry.key == "b"


def test_temperature_zero_agrees_with_gptcache() -> None:
    names = [c.entry.key for c in CANDIDATES]
    scores = [4.0 - squared_distance(c.similarity) for c in CANDIDATES]
    assert post.temperature_softmax(names, scores, 0.0) == "b"


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_the_weights_are_gptcaches_softmax(temperature: float) -> None:
    scores = [4.0 - squared_distance(c.similarity) for c in CANDIDATES]
    theirs = softmax([score / temperature for score in scores])
    assert softmax_weights(CANDIDATES, temperature) == pytest.approx(list(theirs))


@pytest.mark.parametrize(
    ("name", "weights"),
    [("random_one", [1 / 3] * 3), ("temperature_softmax", softmax_weights(CANDIDATES, 0.5))],
)
def test_draws_follow_their_weights(name: str, weights: list[float]) -> None:
    source, draws = random.Random(7), 6000
    choose = choose_of(name)
    counts = Counter(choose(CANDIDATES, source, 0.5).entry.key for _ in range(draws))
    for candidate, weight in zip(CANDIDATES, weights, strict=True):
        assert counts[candidate.entry.key] / draws == pytest.approx(weight, abs=0.03)


class _Highest:
    def random(self) -> float:
        return 1.0 - 2**-53


@pytest.mark.parametrize("name", ["random_one", "temperature_softmax"])
def test_the_highest_draw_still_picks_one(name: str) -> None:
    assert choose_of(name)(CANDIDATES, _Highest(), 0.5).entry.key == "c"


def test_an_unknown_post_function_is_refused() -> None:
    with pytest.raises(ConfigError, match="temperature_softmax"):
        choose_of("best")
