"""Keys, case by case: near misses, images by content, what the question is."""

from __future__ import annotations

import base64
import unicodedata
from typing import Any

import orjson
import pytest

from semcache.chat import ChatRequest
from semcache.errors import RequestError
from semcache.keys import RequestKey, question, request_key

Body = dict[str, Any]


def key_of(body: Body) -> RequestKey:
    return request_key(ChatRequest.from_wire(body, tenant="t"))


def user(content: Any, **more: Any) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": content, **more}]}


def text(value: str) -> Body:
    return {"type": "text", "text": value}


def image(url: str) -> Body:
    return {"type": "image_url", "image_url": {"url": url}}


def talk(*contents: Any) -> Body:
    return {"model": "m", "messages": [{"role": "user", "content": c} for c in contents]}


PIXEL, OTHER = b"\x89PNG one", b"\x89PNG two"


def inline(content: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (user("ab"), user([text("ab")])),
        (user([text("a"), text("b")]), user([text("a\nb")])),
        (user([text("a"), text("b")]), user([text("b"), text("a")])),
        (user("a", name="b"), user("b", name="a")),
        (user(unicodedata.normalize("NFC", "é")), user(unicodedata.normalize("NFD", "é"))),
        (user("a"), user("a ")),
        (talk("ab", "c"), talk("a", "bc")),
        (talk("a", "b", "c"), talk("a", "c", "b")),
        (talk("a", "b"), user("b")),
        (talk("a", "b"), user("a\nb")),
        (talk([text("a"), text("b")], "c"), talk([text("a")], [text("b"), text("c")])),
        (talk([text("ab")], "c"), talk([text("a"), text("b")], "c")),
        (talk("a", "c"), talk([text("a")], "c")),
        (talk('{"type":"text","text":"a"}', "c"), talk([text("a")], "c")),
        (user("a", x=1), user("a", x="1")),
        (user("a", x=1), user("a", x=True)),
        (user("a", x=None), user("a")),
        (user("a", x=1), user("a", x=1.0)),
        ({**user("a"), "x": [1]}, {**user("a"), "x": [True]}),
        ({**user("a"), "x": {"y": None}}, {**user("a"), "x": {}}),
        ({**user("a"), "seed": 1}, {**user("a"), "n": 1}),
        ({**user("a"), "n": 1}, user("a")),
        ({**user("a"), "stop": "b"}, {**user("a"), "stop": ["b"]}),
        (user([text("a"), image("x")]), user([image("x"), text("a")])),
        (user([text("a"), image(inline(PIXEL))]), user([text("a"), image(inline(OTHER))])),
        (
            user([text("a"), image(inline(PIXEL))]),
            user([text("a"), image(inline(PIXEL, "image/gif"))]),
        ),
    ],
)
def test_near_misses_are_apart(one: Body, other: Body) -> None:
    assert key_of(one).exact != key_of(other).exact


def test_numbers_count_by_value() -> None:
    assert key_of({**user("a"), "temperature": 0}) == key_of({**user("a"), "temperature": 0.0})


def test_an_image_counts_by_its_content_and_sets_the_scope() -> None:
    spelt = inline(PIXEL)
    other_spelling = spelt.replace("base64,", "base64,\n").replace("data:", "DATA:")
    percent = "data:image/png," + "".join(f"%{byte:02X}" for byte in PIXEL)
    asked = key_of(user([text("What is it?"), image(spelt)]))
    for same in (other_spelling, percent):
        assert key_of(user([text("What is it?"), image(same)])) == asked
    assert key_of(user([text("What is that?"), image(spelt)])).scope == asked.scope
    other = key_of(user([text("What is it?"), image(inline(OTHER))]))
    assert other.scope != asked.scope
    digest = asked.scope.params
    assert key_of(user([text("What is it?"), image(digest)])).scope != asked.scope


def test_a_broken_data_url_is_a_url_like_any_other() -> None:
    urls = ["data:image/png;base64,A", "data:image/png;base64,B", "data:", "data:x"]
    keys = {key_of(user([text("a"), image(url)])).exact for url in urls}
    assert len(keys) == len(urls)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "user", "content": "hi"}], "hi"),
        ([{"role": "user", "content": [text("a"), text("b")]}], "a\nb"),
        ([{"role": "user", "content": " \n"}], None),
        ([{"role": "user", "content": [image("x")]}], None),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], None),
        ([{"role": "user", "content": "hi"}, {"role": "tool", "content": "4"}], None),
        ([{"role": "system", "content": "hi"}], None),
    ],
)
def test_the_question(messages: list[Body], expected: str | None) -> None:
    request = ChatRequest.from_wire({"model": "m", "messages": messages}, tenant="t")
    assert question(request) == expected
    assert request_key(request).question == expected


def test_an_extract_moves_text_into_the_scope() -> None:
    def extract(text: str) -> tuple[str, str]:
        return text.removeprefix("Please: "), "Please: " if text.startswith("Please: ") else ""

    def made(content: str) -> RequestKey:
        request = ChatRequest.from_wire(user(content), tenant="t")
        return request_key(request, extract=extract)

    assert made("Please: why?").question == "why?"
    assert made("Please: why?").scope != made("why?").scope
    assert made("Please: why?").exact != made("why?").exact
    assert made("Please: why?").scope == made("Please: how?").scope


def test_an_option_that_is_null_is_an_option_that_is_missing() -> None:
    nulls = dict.fromkeys(("temperature", "seed", "stop", "tools", "response_format", "x"))
    assert key_of({**user("a"), **nulls}) == key_of(user("a"))


A, B = image(inline(PIXEL)), image(inline(OTHER))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            [text("Not this:"), A, text("but this:"), B],
            [A, text("Not this:"), B, text("but this:")],
        ),
        (
            [text("Not this:"), A, text("but this:"), B],
            [text("Not this:"), text("but this:"), A, B],
        ),
        ([text("a"), A, B], [text("a"), B, A]),
        ([text("a"), A], [text("a"), A, A]),
        ([text("a"), A], [text("a")]),
        ([{**text("a"), "x": 1}], [{**text("a"), "x": 2}]),
        ([{**text("a"), "x": 1}], [text("a")]),
        ([text("a"), {"type": "file", "file": {"file_id": "1"}}], [text("a")]),
    ],
)
def test_what_stands_around_the_last_text_sets_the_scope(
    one: list[Body], other: list[Body]
) -> None:
    """The question is the same text in both, so only the scope can hold them apart."""
    first, second = key_of(user(one)), key_of(user(other))
    assert first.question == second.question
    assert first.scope != second.scope
    assert first.exact != second.exact


def test_a_text_is_as_fuzzy_in_parts_as_in_one_piece() -> None:
    scopes = {
        key_of(user(content)).scope
        for content in ("a", [text("a")], [text("a"), text("b")], "something else")
    }
    assert len(scopes) == 1


@pytest.mark.parametrize("url", ["data:base64,QUJD", "data:,QUJD", "data:text/plain,QUJD"])
def test_base64_must_be_said(url: str) -> None:
    """RFC 2397: without `;base64` the data stand for themselves."""
    decoded = key_of(user([text("a"), image("data:;base64,QUJD")]))
    assert key_of(user([text("a"), image(url)])).exact != decoded.exact
    assert key_of(user([text("a"), image("data:,ABC")])).exact == decoded.exact


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,é", "data:image/png;base64,%FF", "data:é,é"]
)
def test_any_url_has_a_key(url: str) -> None:
    keys = {key_of(user([text("a"), image(one)])).exact for one in (url, url + "x")}
    assert len(keys) == 2


def nested(depth: int) -> Any:
    return orjson.loads('{"a":' * depth + "1" + "}" * depth)


@pytest.mark.parametrize(
    "body",
    [
        user("\ud800"),
        user([text("\ud800")]),
        user([text("a"), image("data:,\ud800")]),
        talk("\ud800", "a"),
        {**user("a"), "model": "\ud800"},
        {**user("a"), "stop": "\ud800"},
        {**user("a"), "x": 2**64},
        {**user("a"), "x": nested(900)},
        user("a", x=nested(900)),
    ],
    ids=range(9),
)
def test_what_json_cannot_carry_is_refused(body: Body) -> None:
    with pytest.raises(RequestError) as raised:
        key_of(body)
    assert raised.value.status == 400
