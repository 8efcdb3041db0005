"""What requests ask of the cache, in every dialect that is understood."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.directives import NONE, Directives
from semcache.wishes import HEADERS, OWN, PEERS, joined, of_headers, taken_from_body

OFF = Directives(no_cache=True, no_store=True)


@pytest.mark.parametrize(
    ("name", "value", "wished"),
    [
        ("cache-control", "no-cache, max-age=60", Directives(no_cache=True, max_age_s=60)),
        ("cache-control", "s-maxage=600", Directives(ttl_s=600)),
        ("x-semcache-ttl", "90", Directives(ttl_s=90)),
        ("x-semcache-namespace", "Team A", Directives(namespace="Team A")),
        ("x-semcache-tier", "exact", Directives(exact_only=True)),
        ("x-semcache-threshold", "0.97", Directives(threshold=0.97)),
        ("x-semcache-replay", "recorded", Directives(replay="recorded")),
        ("x-semcache-replay", "25.5", Directives(replay=25.5)),
        ("x-semcache-variants", "3", Directives(variants=3)),
        ("helicone-cache-bucket-max-size", "500", Directives(variants=20)),
        (
            "x-portkey-config",
            '{"cache": {"mode": "simple", "max_age": 60}}',
            Directives(ttl_s=60, exact_only=True),
        ),
        ("x-portkey-cache-force-refresh", "true", Directives(no_cache=True)),
        ("x-portkey-cache-force-refresh", "false", NONE),
        ("x-portkey-cache-namespace", "v2", Directives(namespace="v2")),
        ("cf-aig-skip-cache", "true", OFF),
        ("cf-aig-cache-ttl", "600", Directives(ttl_s=600)),
        ("cf-aig-cache-key", "Mine", Directives(namespace="Mine")),
        ("x-bf-cache-no-store", "true", Directives(no_store=True)),
        ("x-bf-cache-ttl", "5m", Directives(ttl_s=300)),
        ("x-bf-cache-ttl", "30s", Directives(ttl_s=30)),
        ("x-bf-cache-ttl", "300", Directives(ttl_s=300)),
        ("x-bf-cache-key", "session-1", Directives(namespace="session-1")),
        ("x-bf-cache-type", "direct", Directives(exact_only=True)),
        ("x-bf-cache-type", "semantic", NONE),
        ("x-bf-cache-threshold", "0.9", Directives(threshold=0.9)),
        ("helicone-cache-enabled", "False", OFF),
        ("helicone-cache-enabled", "true", NONE),
        ("helicone-cache-read", "false", Directives(no_cache=True)),
        ("helicone-cache-save", "false", Directives(no_store=True)),
        ("helicone-cache-seed", "user-7", Directives(namespace="user-7")),
        ("x-openrouter-cache", "false", OFF),
        ("x-openrouter-cache-clear", "true", Directives(no_cache=True)),
        ("x-openrouter-cache-ttl", "300", Directives(ttl_s=300)),
        ("x-bt-use-cache", "never", OFF),
        ("x-bt-use-cache", "always", NONE),
        ("x-bt-cache-ttl", "60", Directives(ttl_s=60)),
        ("op-cache", "readOnly", Directives(no_store=True)),
        ("op-cache", "writeOnly", Directives(no_cache=True)),
        ("x-higress-skip-ai-cache", "on", OFF),
    ],
)
def test_a_header_is_understood(name: str, value: str, wished: Directives) -> None:
    assert of_headers([("content-type", "application/json"), (name, value)]) == wished
    assert name in HEADERS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-semcache-ttl", "-1"),
        ("x-semcache-ttl", "soon"),
        ("x-semcache-ttl", "1" * 40),
        ("x-semcache-threshold", "1.5"),
        ("x-semcache-threshold", "nan"),
        ("x-semcache-threshold", "-0.2"),
        ("x-semcache-namespace", ""),
        ("x-semcache-namespace", "n" * 129),
        ("x-semcache-tier", "everything"),
        ("x-semcache-replay", "slowly"),
        ("x-semcache-variants", "-1"),
        ("x-portkey-config", "pc-semantic-1"),
        ("x-portkey-config", '{"cache": {"max_age": "long"}}'),
        ("x-portkey-config", '{"cache": 1}'),
        ("x-portkey-config", "{"),
        ("x-semcache-variants", "1000"),
        ("x-semcache-replay", "-3"),
        ("x-semcache-replay", "inf"),
        ("x-bf-cache-ttl", "5 weeks"),
        ("op-cache", "sometimes"),
    ],
)
def test_what_cannot_be_read_is_ignored(name: str, value: str) -> None:
    assert of_headers([(name, value)]) == NONE


def test_every_header_has_an_effect_that_was_tried() -> None:
    marks = test_a_header_is_understood.pytestmark  # type: ignore[attr-defined]
    tried = {case[0] for mark in marks for case in mark.args[1] if case[2] != NONE}
    assert tried == {"cache-control", *OWN, *PEERS}


def test_our_own_words_win() -> None:
    said = [
        ("x-semcache-ttl", "10"),
        ("cache-control", "s-maxage=600, no-store"),
        ("x-bf-cache-ttl", "5m"),
        ("x-bf-cache-type", "direct"),
    ]
    assert of_headers(said) == Directives(no_store=True, ttl_s=10, exact_only=True)


@pytest.mark.parametrize(
    ("cache", "wished"),
    [
        ({"no-cache": True}, Directives(no_cache=True)),
        ({"no-store": True, "ttl": 600}, Directives(no_store=True, ttl_s=600)),
        ({"s-maxage": 30}, Directives(max_age_s=30)),
        ({"s-max-age": 30.5}, Directives(max_age_s=30.5)),
        ({"namespace": "team"}, Directives(namespace="team")),
        ({"use-cache": False}, OFF),
        ({"use-cache": True}, NONE),
        ({"ttl": True, "s-maxage": "soon", "namespace": 7, "no-cache": "yes"}, NONE),
        ({"ttl": -3}, NONE),
    ],
)
def test_the_body_speaks_litellm(cache: dict[str, Any], wished: Directives) -> None:
    body = {"model": "m", "messages": [], "cache": cache}
    assert taken_from_body(body) == ({"model": "m", "messages": []}, wished)
    assert body["cache"] == cache


@pytest.mark.parametrize(
    ("enabled", "wished"),
    [
        ("off", OFF),
        ("read_only", Directives(no_store=True)),
        ("write_only", Directives(no_cache=True)),
        ("on", NONE),
        (["off"], NONE),
    ],
)
def test_the_body_speaks_tensorzero(enabled: object, wished: Directives) -> None:
    options = {"enabled": enabled}
    assert taken_from_body({"model": "m", "tensorzero::cache_options": options}) == (
        {"model": "m"},
        wished,
    )
    aged = {"max_age_s": 60, **options}
    assert taken_from_body({"tensorzero::cache_options": aged})[1] == joined(
        wished, Directives(max_age_s=60)
    )


@pytest.mark.parametrize("body", [{"model": "m"}, {"cache": "yes"}, [], None, "text"])
def test_other_bodies_are_left_as_they_are(body: object) -> None:
    assert taken_from_body(body) == (body, NONE)


def test_of_two_the_first_wins() -> None:
    one, other = Directives(ttl_s=5, no_cache=True), Directives(ttl_s=9, namespace="n")
    assert joined(one, other) == Directives(ttl_s=5, no_cache=True, namespace="n")
    assert joined(NONE, other) == other
    assert joined(one, NONE) == one


def test_the_body_speaks_the_production_stack() -> None:
    assert taken_from_body({"model": "m", "skip_cache": True}) == ({"model": "m"}, OFF)
    assert taken_from_body({"model": "m", "skip_cache": False}) == ({"model": "m"}, NONE)
    body = {"model": "m", "skip_cache": "yes"}
    assert taken_from_body(body) == (body, NONE)
