"""RFC 9111's request directives, and what is not one."""

from __future__ import annotations

import pytest

from semcache.directives import NONE, Directives, parse_cache_control


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", NONE),
        ("no-cache", Directives(no_cache=True)),
        ("NO-CACHE , No-Store", Directives(no_cache=True, no_store=True)),
        ("only-if-cached", Directives(only_if_cached=True)),
        ("max-age=60", Directives(max_age_s=60)),
        ('max-age="60"', Directives(max_age_s=60)),
        ("min-fresh=5, max-stale=7", Directives(min_fresh_s=5, max_stale_s=7)),
        ("max-stale", Directives(max_stale_s=float("inf"))),
        ("max-age=-1", NONE),
        ("max-age=soon, no-store", Directives(no_store=True)),
        ("max-age=99999999999999999999", Directives(max_age_s=2**31)),
        ("something=else, ,=", NONE),
    ],
)
def test_parse(header: str, expected: Directives) -> None:
    assert parse_cache_control(header) == expected
