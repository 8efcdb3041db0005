"""Who asks again after a near-duplicate's answer, and who only asks the same as others."""

from __future__ import annotations

from typing import Any

import pytest

from semcache.chat import ChatRequest
from semcache.keys import RequestKey, request_key
from semcache.retries import Retries


def asked(text: str = "Why?", tenant: str = "t", **options: Any) -> tuple[ChatRequest, RequestKey]:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **options}
    request = ChatRequest.from_wire(body, tenant=tenant)
    return request, request_key(request)


ANA = asked(user="ana")


def test_the_same_user_with_the_same_request_within_the_window() -> None:
    retries = Retries(window_s=30.0)
    assert not retries.is_retry(*ANA, 100.0)
    retries.served(*ANA, 100.0)
    assert retries.is_retry(*ANA, 100.0)
    assert retries.is_retry(*ANA, 130.0)
    assert not retries.is_retry(*ANA, 130.5)
    assert not retries.is_retry(*ANA, 99.0)


@pytest.mark.parametrize(
    "other",
    [
        asked(user="bo"),
        asked(safety_identifier="ana"),
        asked(),
        asked("Why not?", user="ana"),
        asked(user="ana", tenant="u"),
        asked(user="ana", max_tokens=5),
    ],
)
def test_nobody_else(other: tuple[ChatRequest, RequestKey]) -> None:
    retries = Retries()
    retries.served(*ANA, 100.0)
    assert not retries.is_retry(*other, 101.0)


def test_who_names_nobody_is_a_retry_only_where_a_tenant_is_one_person() -> None:
    for whose, found in (("user", False), ("tenant", True)):
        retries = Retries(whose)  # type: ignore[arg-type]
        retries.served(*asked(), 100.0)
        assert retries.is_retry(*asked(), 101.0) is found


@pytest.mark.parametrize("retries", [Retries("off"), Retries("user", 0.0), Retries("tenant", 0)])
def test_it_can_be_switched_off(retries: Retries) -> None:
    retries.served(*ANA, 100.0)
    assert not retries.is_retry(*ANA, 100.0)


def test_it_is_bounded() -> None:
    retries = Retries(most=2)
    users = [asked(user=name) for name in "abc"]
    for user in users:
        retries.served(*user, 100.0)
    assert [retries.is_retry(*user, 101.0) for user in users] == [False, True, True]
