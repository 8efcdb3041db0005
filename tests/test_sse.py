"""The event decoder against the standard's own examples and a plain reading of its grammar."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semcache.completion import Chunk
from semcache.errors import UpstreamError
from semcache.sse import DONE, DONE_DATA, EventDecoder, encode

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decode(*feeds: bytes) -> list[str]:
    decoder = EventDecoder()
    return [event for feed in feeds for event in decoder.feed(feed)]


def by_the_grammar(stream: bytes) -> list[str]:
    """The whole stream at once, as section 9.2.5 writes its grammar: an independent oracle."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    blocks: list[list[str]] = [[]]
    *whole, _cut_off = re.split("\r\n|\n|\r", text)
    for line in whole:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    events = []
    for block in blocks[:-1]:
        data = [re.fullmatch("data(?:: ?(.*))?", line, re.DOTALL) for line in block]
        values = [match.group(1) or "" for match in data if match]
        if values:
            events.append("\n".join(values))
    return events


# The examples of the standard, section 9.2.6.
STANDARD = [
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
        b"data:  third event\n\n",
        ["first event", "second event", " third event"],
    ),
    (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
    (b"data:test\n\ndata: test\n\n", ["test", "test"]),
]


@pytest.mark.parametrize(("stream", "events"), STANDARD)
def test_the_standards_examples(stream: bytes, events: list[str]) -> None:
    assert decode(stream) == events
    assert by_the_grammar(stream) == events


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_cut_at_every_byte(end: bytes) -> None:
    lines = [b"\xef\xbb\xbfdata: {", 'data: "q":"你好"}'.encode(), b"", b"data: x", b"", b""]
    stream = end.join(lines)
    assert decode(*(bytes([byte]) for byte in stream)) == ['{\n"q":"你好"}', "x"]


def test_an_event_after_a_lone_cr_does_not_wait_for_the_next_byte() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: now\r\r") == ["now"]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\ndata: then\r\n\r") == ["then"]


def test_comments_other_fields_and_look_alikes_carry_no_data() -> None:
    stream = b": OPENROUTER PROCESSING\n\nevent: ping\nretry: 10\n\ndatas: 1\n data: 2\nDATA: 3\n\n"
    assert decode(stream) == []


def test_a_byte_order_mark_counts_only_at_the_start() -> None:
    mark = b"\xef\xbb\xbf"
    stream = mark + b"data: 1\n\n" + mark + b"data: 2\n\ndata: 3\n\n"
    assert decode(stream[:2], stream[2:]) == ["1", "3"]


def test_characters_that_only_look_like_line_ends_stay_in_the_data() -> None:
    text = "a\u2028b\u2029c\x0bd\x0ce\x1cf\x85g"
    assert decode(f"data: {text}\n\n".encode()) == [text]


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert decode(b"data: a\xff\xe4\xbd\n\ndata: b\n\n") == ["a\ufffd\ufffd", "b"]


def test_an_event_that_the_end_cuts_off_is_not_an_event() -> None:
    assert decode(b"data: whole\n\ndata: cut\n") == ["whole"]
    assert decode(b"data: whole\n\ndata: [DO") == ["whole"]


_words = [
    "data",
    ":",
    ": ",
    " ",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "x",
    "id",
    "你",
    "🦊",
    "\u2028",
    "\x0b",
    "\0",
]
_pieces = st.sampled_from(
    [*(word.encode() for word in _words), b"\xff", b"\xef\xbb\xbf", b"event: e"]
)


@unhurried
@given(st.lists(_pieces, max_size=40).map(b"".join), st.lists(st.integers(0, 120), max_size=12))
def test_any_stream_cut_anywhere_reads_as_the_grammar_says(stream: bytes, cuts: list[int]) -> None:
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    feeds = [stream[a:b] for a, b in pairwise(at)]
    assert decode(*feeds) == by_the_grammar(stream)


@pytest.mark.parametrize(
    "feeds",
    [[b"data: " + b"x" * 60], [b"data: xxxx\n"] * 6, [b": comment\n"] * 6, [b"x"] * 51],
    ids=["one line", "many lines", "comments", "no line end"],
)
def test_an_event_beyond_the_limit_is_refused_however_it_is_cut(feeds: list[bytes]) -> None:
    decoder = EventDecoder(max_event_bytes=50)
    for feed in feeds[:-1]:
        assert decoder.feed(feed) == []
    with pytest.raises(UpstreamError, match="larger than 50 bytes") as refused:
        decoder.feed(feeds[-1])
    assert refused.value.status == 502


def test_the_limit_is_on_one_event_not_on_the_stream() -> None:
    decoder = EventDecoder(max_event_bytes=50)
    events = [event for _ in range(100) for event in decoder.feed(b"data: " + b"x" * 44 + b"\n\n")]
    assert events == ["x" * 44] * 100


_names = st.text("ab\n\r: 你")
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
)


@unhurried
@given(st.dictionaries(_names, _json, max_size=4))
def test_what_is_encoded_is_one_event_and_decodes_to_itself(wire: dict[str, Any]) -> None:
    raw = encode(Chunk(wire))
    assert raw.startswith(b"data: ")
    assert raw.count(b"\n") == 2
    (data,) = decode(raw)
    assert orjson.loads(data) == wire


def test_done_is_the_providers_last_event() -> None:
    assert DONE == b"data: [DONE]\n\n"
    assert decode(DONE) == [DONE_DATA]
