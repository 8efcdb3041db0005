"""The error tree: what it says of itself is what OpenAI's own client makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import openai
import pytest

from semcache import errors
from semcache.errors import (
    AnswerError,
    ConfigError,
    Declined,
    EngineBusy,
    QuotaExceeded,
    RequestError,
    SemcacheError,
    UpstreamError,
)
from tests.loopback import Json, Loopback


def _tree(root: type[SemcacheError]) -> Iterator[type[SemcacheError]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below)


TREE = list(_tree(SemcacheError))
# What the official client raises for a status, from OpenAI's API reference on error codes.
OFFICIAL: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    408: openai.APIStatusError,
    413: openai.APIStatusError,
    429: openai.RateLimitError,
    431: openai.APIStatusError,
    500: openai.InternalServerError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}


def test_the_table_in_the_module_is_true() -> None:
    lines = re.findall(r"^[ │├└─]*([A-Z]\w+) +(\d{3}) (\w+)", errors.__doc__ or "", re.MULTILINE)
    table = {name: (int(status), code) for name, status, code in lines}
    # RequestError's column says the type, which its subclasses share.
    assert table.pop("RequestError") == (RequestError.status, RequestError.type)
    classes = {kind.__name__: (kind.status, kind.code) for kind in TREE}
    assert table.items() <= classes.items()
    assert classes.keys() - table.keys() == {"RequestError", "UpstreamError"}


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_official_client_understands_every_error(kind: type[SemcacheError]) -> None:
    error = kind("Say what to do.")
    with (
        Loopback([Json(error.to_wire(), status=error.status)]) as server,
        openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as raised,
    ):
        client.models.list()
    assert type(raised.value) is OFFICIAL[error.status]
    assert (raised.value.code, raised.value.type) == (error.code, error.type)
    assert raised.value.param is None
    assert "Say what to do." in raised.value.message


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_the_callers_mistakes_are_4xx_and_ours_are_5xx(kind: type[SemcacheError]) -> None:
    is_callers = issubclass(kind, RequestError)
    # Where everybody has declined nobody failed, and to ask again would be in vain.
    assert kind.status // 100 == (4 if is_callers or kind is Declined else 5)
    # OpenAI's own word for a quota that is spent, as type and as code.
    ours = "insufficient_quota" if kind is QuotaExceeded else "invalid_request_error"
    assert (kind.type == ours) == is_callers
    assert re.fullmatch("[a-z_]+", kind.code)
    assert (kind.__doc__ or "").strip().endswith(".")


def test_a_message_and_the_field_it_is_about() -> None:
    error = RequestError("'n' is too large: ask for at most 128.", param="n")
    assert str(error) == error.message == "'n' is too large: ask for at most 128."
    assert error.to_wire() == {
        "error": {
            "message": "'n' is too large: ask for at most 128.",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_request",
        }
    }


def test_busy_says_when_to_come_back() -> None:
    assert EngineBusy("Full: try again.").retry_after_s == 1
    assert EngineBusy("Full: try again.", retry_after_s=9).retry_after_s == 9


def test_an_upstreams_error_keeps_what_the_upstream_said() -> None:
    headers = {"retry-after": "3"}
    error = UpstreamError("It said 429.", status=429, body=b"{}", headers=headers)
    headers.clear()
    assert (error.status, error.body, error.headers) == (429, b"{}", {"retry-after": "3"})
    silent = UpstreamError("Nobody there.")
    assert (silent.status, silent.body, silent.headers) == (502, None, {})
    assert UpstreamError.status == AnswerError.status == 502
    assert silent.to_wire()["error"]["code"] == "upstream_error"


def test_one_root_catches_all_and_no_branch_catches_another() -> None:
    assert all(issubclass(kind, SemcacheError) for kind in TREE)
    inside = (errors.StoreError, errors.EmbeddingError, errors.ServerBusy)
    branches = (RequestError, ConfigError, AnswerError, *inside)
    for kind in TREE[1:]:
        assert sum(issubclass(kind, branch) for branch in branches) == 1
