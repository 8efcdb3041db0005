"""`Cache-Status` as RFC 9211 has it, read by an independent parser of structured fields.

http-sf is by the author of both RFCs (8941 and 9211).
"""

from __future__ import annotations

from itertools import product
from typing import Any

import http_sf
import pytest

from semcache.chat import text_request
from semcache.compat_headers import GATEWAYS, speaking
from semcache.directives import NONE
from semcache.errors import ConfigError
from semcache.explain import reply_headers, saved_headers
from semcache.interfaces import Bypass, Decision, Entry, Hit, Miss
from semcache.keys import request_key
from semcache.policy import Admission, Keep
from semcache.prices import Saved
from semcache.reply import Decided, Plan, Reply
from tests.scripted import ScriptedAnswerer, echo

REQUEST = text_request("Why?", tenant="t", model="m")
KEY = request_key(REQUEST)

PARAMETERS: dict[str, Any] = {
    "hit": bool,
    "fwd": http_sf.Token,
    "fwd-status": int,
    "ttl": int,
    "stored": bool,
    "collapsed": bool,
    "key": str,
    "detail": (str, http_sf.Token),
}
FWD = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}

# RFC 9211, section 3
EXAMPLES = [
    "ExampleCache; hit",
    "ExampleCache; hit; ttl=376",
    "ExampleCache; hit; ttl=-412",
    "ExampleCache; fwd=uri-miss; collapsed",
    "ExampleCache; fwd=uri-miss; collapsed=?0",
    "ExampleCache; fwd=stale; fwd-status=304",
    "ExampleCache; fwd=stale; fwd-status=304; collapsed; stored",
    "ExampleCache; fwd=request; fwd-status=200",
    "ExampleCache; fwd=bypass; detail=memory",
    'ExampleCache; fwd=miss; stored; key="https://example/?a=1"',
    'OriginCache; hit; ttl=1100, "CDN Company Here"; hit; ttl=545',
    "OriginCache; fwd=stale; fwd-status=304; collapsed; ttl=1500, CDN; fwd=uri-miss",
]


def entry(expires_at: float | None = None) -> Entry:
    return Entry(KEY.exact, KEY.scope, "Why?", echo(REQUEST), 900.0, expires_at, id=7)


DECISIONS: list[Decision] = [
    Hit(entry(), "exact", 1.0, 1.0, "exact"),
    Hit(entry(1300.0), "exact", 1.0, 1.0, "exact"),
    Hit(entry(990.5), "exact", 1.0, 1.0, "exact"),
    Hit(entry(1300.0), "semantic", 0.93, 0.6, "semantic"),
    Miss("guard=number", 0.86),
    Miss('verifier="odd" \\ ü\n', 0.5),
    Miss("unknown"),
    Bypass("temperature"),
    Bypass("request=no-cache"),
    Miss("stale"),
]


def headers(decision: Decision, **about: Any) -> list[tuple[bytes, bytes]]:
    plan = Plan(REQUEST, NONE, Admission(True, True), ScriptedAnswerer(), KEY)
    outage = (entry(900.0), 503) if about.get("outage") and isinstance(decision, Miss) else None
    kept = Keep(None) if about.get("kept") else None
    decided = Decided(decision, kept=kept, outage=outage, saved=Saved(10, 5, 0.0125, 0.5))
    return reply_headers(Reply(plan, decided, bool(about.get("collapsed"))), now=1000.0)


def parsed(value: bytes) -> Any:
    return http_sf.parse(value, tltype="list")


def read(value: bytes) -> dict[str, Any]:
    """The parameters of our one member, checked against RFC 9211, section 2."""
    ((cache, parameters),) = parsed(value)
    assert cache == http_sf.Token("semcache")
    for name, given in parameters.items():
        assert isinstance(given, PARAMETERS[name]), (name, given)
    assert ("hit" in parameters) != ("fwd" in parameters)
    assert str(parameters.get("fwd", "miss")) in FWD
    if "hit" in parameters:
        assert not {"stored", "collapsed", "fwd-status"} & parameters.keys()
    return dict(parameters)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_parser_knows_the_rfcs_own_examples(example: str) -> None:
    members = parsed(example.encode())
    assert all(set(parameters) <= set(PARAMETERS) for _, parameters in members)


def test_everything_that_we_say_is_a_structured_field() -> None:
    seen = set()
    either = (False, True)
    for decision, outage, kept, collapsed in product(DECISIONS, either, either, either):
        told = dict(headers(decision, outage=outage, kept=kept, collapsed=collapsed))
        parameters = read(told[b"cache-status"])
        status = told[b"x-semcache-status"].decode()
        seen.add(status)
        assert (b"age" in told) is ("hit" in parameters)
        assert parameters.get("stored", False) is (kept and "fwd" in parameters)
        if status == "STALE":
            assert parameters["ttl"] == (-9 if isinstance(decision, Hit) else -100)
        saved: Any = http_sf.parse(told[b"x-semcache-saved"], tltype="dictionary")
        assert {name: value for name, (value, _) in saved.items()} == {
            "tokens": 15,
            "usd-micros": 12500,
            "ms": 500,
        }
    assert seen == {"HIT", "SEMANTIC_HIT", "STALE", "COALESCED", "MISS", "BYPASS"}
    assert saved_headers(Saved(10, 5)) == []


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (
            DECISIONS[1],
            {
                "x-litellm-cache-key": KEY.exact[:32],
                "x-portkey-cache-status": "HIT",
                "cf-aig-cache-status": "HIT",
                "x-openrouter-cache-status": "HIT",
                "x-openrouter-cache-ttl": "300",
                "x-bt-cached": "HIT",
                "helicone-cache": "HIT",
                "helicone-cache-bucket-idx": "0",
                "x-cache-status": "Hit",
                "x-cache-key": KEY.exact[:32],
                "x-cache-ttl": "300",
                "x-ai-cache-status": "HIT",
                "x-ai-cache-age": "100",
            },
        ),
        (
            DECISIONS[3],
            {
                "x-portkey-cache-status": "SEMANTIC HIT",
                "x-litellm-semantic-similarity": "0.9300",
                "x-ai-cache-similarity": "0.9300",
            },
        ),
        (DECISIONS[4], {"x-portkey-cache-status": "SEMANTIC MISS", "helicone-cache": "MISS"}),
        (DECISIONS[6], {"x-portkey-cache-status": "MISS", "x-cache-status": "Miss"}),
        (DECISIONS[7], {"x-portkey-cache-status": "DISABLED", "x-cache-status": "Bypass"}),
        (DECISIONS[8], {"x-portkey-cache-status": "REFRESH", "x-cache-status": "Refresh"}),
    ],
)
def test_what_other_gateways_say(decision: Decision, said: dict[str, str]) -> None:
    ours = headers(decision)
    every = speaking(list(GATEWAYS))(ours)
    assert every[: len(ours)] == ours
    added = {name.decode(): value.decode() for name, value in every[len(ours) :]}
    assert said.items() <= added.items()
    if isinstance(decision, Miss | Bypass):
        assert not any(name.startswith("x-litellm") for name in added)
    assert speaking([])(ours) is ours
    only = speaking(["portkey"])(ours)[len(ours) :]
    assert [name for name, _ in only] == [b"x-portkey-cache-status"]


def test_an_unknown_gateway_is_refused() -> None:
    with pytest.raises(ConfigError, match="in the body"):
        speaking(["litellm", "bifrost"])
