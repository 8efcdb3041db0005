"""The door: the admin's key as a bearer, from nowhere else, and from no other site."""

from __future__ import annotations

from hashlib import sha256

import pytest

from semcache.errors import AuthenticationError, Forbidden
from semcache_server.admin import AdminDoor

KEY = "sk-semcache-admin-0123456789abcdef0123456789abcdef"
DOOR = AdminDoor((sha256(b"another").hexdigest(), sha256(KEY.encode()).hexdigest()))


def scope(headers: dict[str, str], query: str = "") -> dict[str, object]:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http", "headers": sent, "query_string": query.encode()}


@pytest.mark.parametrize(
    "site", [{}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-origin"}]
)
def test_the_key_is_let_in(site: dict[str, str]) -> None:
    DOOR.check(scope({"authorization": f"Bearer {KEY}", **site}))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-other"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {KEY}"},
        {"authorization": KEY},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": f"Bearer {DOOR.digests[1]}"},
        {"authorization": "Bearer \xff\xfe"},
        {"cookie": f"key={KEY}"},
        {"x-api-key": KEY},
    ],
)
def test_everything_else_is_refused_alike(headers: dict[str, str]) -> None:
    with pytest.raises(AuthenticationError) as refused:
        DOOR.check(scope(headers, query=f"key={KEY}"))
    with pytest.raises(AuthenticationError) as without:
        DOOR.check(scope({}))
    assert refused.value.to_wire() == without.value.to_wire()
    assert KEY not in refused.value.message


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_is_refused_with_the_key_and_without(site: str) -> None:
    for headers in ({"authorization": f"Bearer {KEY}"}, {}):
        with pytest.raises(Forbidden):
            DOOR.check(scope({**headers, "sec-fetch-site": site}))


def test_a_door_without_keys_lets_nobody_in() -> None:
    with pytest.raises(AuthenticationError):
        AdminDoor().check(scope({"authorization": "Bearer "}))
