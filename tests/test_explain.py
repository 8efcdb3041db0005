"""The response headers, read back by their RFC's rules."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.chat import text_request
from semcache.directives import NONE
from semcache.explain import quoted, reply_headers
from semcache.interfaces import Bypass, Decision, Entry, Hit, Miss
from semcache.keys import request_key
from semcache.policy import Admission, Keep, Skip
from semcache.reply import Decided, Plan, Reply
from tests.scripted import ScriptedAnswerer, echo

REQUEST = text_request("Why?", tenant="t", model="m")
KEY = request_key(REQUEST)


def headers(decision: Decision, *, collapsed: bool = False, kept: Any = None) -> dict[str, str]:
    plan = Plan(REQUEST, NONE, Admission(True, True), ScriptedAnswerer(), KEY)
    decided = Decided(decision, kept=kept)
    raw = reply_headers(Reply(plan, decided, collapsed), now=1000.0)
    return {name.decode(): value.decode() for name, value in raw}


def entry(expires_at: float | None = None) -> Entry:
    return Entry(KEY.exact, KEY.scope, "Why?", echo(REQUEST), 900.0, expires_at, id=7)


def test_an_exact_hit() -> None:
    seen = headers(Hit(entry(1300.0), "exact", 1.0, 1.0, "exact"))
    key = KEY.exact[:32]
    assert seen["cache-status"] == f'semcache; hit; ttl=300; key="{key}"; detail=exact'
    assert (seen["age"], seen["x-semcache-status"]) == ("100", "HIT")
    assert (seen["x-semcache-key"], seen["x-semcache-entry-id"]) == (key, "7")


def test_a_semantic_hit_says_how_near_and_how_near_it_had_to_be() -> None:
    seen = headers(Hit(entry(), "semantic", 0.93, 0.6, "semantic"))
    assert 'detail="semantic;sim=0.9300;thr=0.6000"' in seen["cache-status"]
    assert "ttl" not in seen["cache-status"]
    assert seen["x-semcache-similarity"] == "0.9300"
    assert seen["x-semcache-status"] == "SEMANTIC_HIT"


def test_a_stale_hit_has_a_negative_ttl() -> None:
    seen = headers(Hit(entry(990.0), "exact", 1.0, 1.0, "exact"))
    assert "; ttl=-10;" in seen["cache-status"]


@pytest.mark.parametrize(
    ("kept", "stored"), [(None, False), (Skip("truncated"), False), (Keep(None), True)]
)
def test_a_miss_claims_stored_only_when_it_is(kept: Any, stored: bool) -> None:
    seen = headers(Miss("guard=numbers", 0.86), kept=kept)
    assert ("; stored" in seen["cache-status"]) is stored
    assert seen["cache-status"].startswith("semcache; fwd=miss")
    assert seen["cache-status"].endswith('detail="guard=numbers;near=0.8600"')
    assert seen["x-semcache-answerer"] == "scripted"
    assert "age" not in seen


def test_a_shared_answer_is_collapsed() -> None:
    seen = headers(Miss("unknown"), collapsed=True)
    assert seen["cache-status"].startswith("semcache; fwd=miss; collapsed;")
    assert seen["x-semcache-status"] == "COALESCED"


@pytest.mark.parametrize(
    ("reason", "fwd"), [("request=no-cache", "request"), ("temperature", "bypass")]
)
def test_a_bypass_says_whose_wish_it_was(reason: str, fwd: str) -> None:
    seen = headers(Bypass(reason))
    assert seen["cache-status"] == f'semcache; fwd={fwd}; detail="{reason}"'
    assert seen["x-semcache-status"] == "BYPASS"


def test_quoted_strings_are_escaped_ascii() -> None:
    assert quoted('a"b\\c\nü') == '"a\\"b\\\\c??"'


def test_a_certificate_is_said_on_every_reply_and_only_where_there_is_one() -> None:
    plan = Plan(REQUEST, NONE, Admission(True, True), ScriptedAnswerer(), KEY)
    for decision in (Hit(entry(), "exact", 1.0, 1.0, "exact"), Miss("unknown"), Bypass("x")):
        said = Reply(plan, Decided(decision), certificate="exact-only; needed=28")
        assert (b"x-semcache-certificate", b"exact-only; needed=28") in reply_headers(said, 1000.0)
        assert "x-semcache-certificate" not in headers(decision)
