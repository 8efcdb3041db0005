"""Quantiles and totals, by hand."""

from __future__ import annotations

import pytest

from semcache.observed import Observed
from semcache_server.admin_stats import quantile, totals


def test_quantiles_of_buckets() -> None:
    assert quantile([0, 10, 0, 0], [1.0, 2.0, 4.0], 0.5) == 1.5
    assert quantile([5, 0, 5, 0], [1.0, 2.0, 4.0], 0.5) == 1.0
    assert quantile([5, 0, 5, 0], [1.0, 2.0, 4.0], 0.9) == pytest.approx(3.6)
    assert quantile([0, 0, 0, 3], [1.0, 2.0, 4.0], 0.5) == 4.0


def test_totals_count_each_request_once() -> None:
    counts = {
        "hit: exact": 5,
        "hit: semantic": 2,
        "coalesced": 1,
        "miss: unknown": 3,
        "miss: stale": 1,
        "stale-if-error": 1,  # one of the misses, that was answered after all
        "bypass: temperature": 4,
    }
    told = totals(Observed(counts, {"saved: usd": 0.5}))
    assert told["requests"] == 5 + 2 + 1 + 3 + 1 + 4
    assert told["miss"] == 3
    assert told["hit_rate"] == 9 / 12
    assert told["usd"] == 0.5
    assert totals(Observed())["hit_rate"] is None
