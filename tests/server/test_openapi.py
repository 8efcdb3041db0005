"""The OpenAPI description: every route is in it, and what it says holds (schemathesis)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette

from semcache.cache import SemCache
from semcache.store import LocalStore
from semcache.upstream import Upstream, UpstreamSettings
from semcache_server.admin import AdminDoor
from semcache_server.app import Serving, build_app
from semcache_server.description import description
from tests.loopback import Loopback
from tests.server.serving import serving
from tests.upstream_double import openai_like

ADMIN = "sk-admin-of-the-tests"
SPEC: Any = schemathesis.openapi.from_dict(description())
OPERATIONS = {one.ok().label: one.ok() for one in SPEC.get_all_operations()}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-ndjson")
def _as_lines(context: Any, value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else orjson.dumps(value)


def test_every_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    SPEC.validate()
    cache = SemCache(store=LocalStore(tmp_path))
    app = build_app(Serving(cache=cache, tenant_of=lambda key: key, model="m"))
    assert isinstance(app.rest, Starlette)
    served = {
        f"{method} {getattr(route, 'path', '').replace(':path', '')}"
        for route in app.rest.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD"
    }
    cache._close_leaves()
    assert served == set(OPERATIONS)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    door = AdminDoor((hashlib.sha256(ADMIN.encode()).hexdigest(),))
    with Loopback(openai_like) as upstream:
        relay = Upstream(UpstreamSettings(base_url=upstream.base_url))
        with serving(tmp_path_factory.mktemp("openapi"), relay, admin=door) as http:
            yield http


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_the_description_says_holds(served: httpx2.Client, name: str) -> None:
    operation = OPERATIONS[name]
    has_body = bool(operation.body)
    positive = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    cases = positive
    if has_body or operation.query or operation.headers:
        negative = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        cases = st.one_of(positive, negative)

    @settings(
        max_examples=7 if has_body else 3,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def holds(case: Any) -> None:
        case.headers["Authorization"] = f"Bearer {ADMIN}"
        response = case.call(base_url=str(served.base_url))
        case.validate_response(response, checks=CHECKS)

    holds()
