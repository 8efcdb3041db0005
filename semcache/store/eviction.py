"""Make a store fit its limits, inside the transaction that made it too large.

Expired rows leave first, then rows in the policy's order; rows of the same transaction leave only
when nothing else is left. A little more than needed leaves at once (one part in a hundred, at
most 64 rows), so that a store at its limit does not pay for eviction on every put.
"""

from __future__ import annotations

from collections.abc import Iterator

from semcache.store.changes import remove_ids
from semcache.store.limits import ORDER, Limits
from semcache.store.writer import Transaction

_BATCH = 128


def over_limits(transaction: Transaction, limits: Limits) -> bool:
    """Whether anything must leave. Costs a point lookup or two, not a scan."""
    if _excess(transaction, limits, slack=False) != (0, 0):
        return True
    return any(True for _ in _tenants_over(transaction, limits))


def evict(transaction: Transaction, limits: Limits, now: float) -> int:
    """Delete rows until the limits hold; returns how many."""
    removed = 0
    for tenant, entries, size in list(_tenants_over(transaction, limits)):
        removed += _drop(transaction, limits, now, tenant, entries, size)
    if _excess(transaction, limits, slack=False) != (0, 0):
        entries, size = _excess(transaction, limits, slack=True)
        removed += _drop(transaction, limits, now, None, entries, size)
    return removed


def _excess(transaction: Transaction, limits: Limits, slack: bool) -> tuple[int, int]:
    """(entries, bytes) above the limits."""
    entries, size = transaction.connection.exec_driver_sql(
        "SELECT entries, bytes FROM totals"
    ).one()
    rows = extra = 0
    if limits.max_entries is not None:
        spare = min(limits.max_entries // 100, 64) if slack else 0
        rows = max(0, entries - (limits.max_entries - spare))
    if limits.max_bytes is not None:
        spare = limits.max_bytes // 100 if slack else 0
        extra = max(0, size - (limits.max_bytes - spare))
    return rows, extra


def _tenants_over(transaction: Transaction, limits: Limits) -> Iterator[tuple[str, int, int]]:
    """(tenant, entries and bytes above the tenant's limits) for the tenants written to."""
    if not limits.per_tenant:
        return
    for tenant in sorted(transaction.tenants):
        held = transaction.connection.exec_driver_sql(
            "SELECT entries, bytes FROM usage WHERE tenant = ?", (tenant,)
        ).first()
        if held is None:
            continue
        entries = _above(held[0], limits.max_entries_per_tenant, 64)
        size = _above(held[1], limits.max_bytes_per_tenant, None)
        if entries or size:
            yield tenant, entries, size


def _above(held: int, most: int | None, slack: int | None) -> int:
    """How much must leave: nothing, or the excess and a part in a hundred, at most `slack`."""
    if most is None or held <= most:
        return 0
    spare = most // 100
    return held - most + (spare if slack is None else min(spare, slack))


def _drop(
    transaction: Transaction,
    limits: Limits,
    now: float,
    tenant: str | None,
    entries: int,
    size: int,
) -> int:
    removed = 0
    for condition, order in (
        ("seq < :seq AND expires_at <= :now", "expires_at, id"),
        ("seq < :seq", ORDER[limits.eviction]),
        ("seq <= :seq", ORDER[limits.eviction]),
    ):
        while entries > 0 or size > 0:
            rows = _next(transaction, condition, order, tenant, now)
            leaving = []
            for row, held in rows:
                if entries <= 0 and size <= 0:
                    break
                leaving.append(row)
                entries, size = entries - 1, size - held
            if not leaving:
                break
            removed += remove_ids(transaction, leaving)
    return removed


def _next(
    transaction: Transaction, condition: str, order: str, tenant: str | None, now: float
) -> list[tuple[int, int]]:
    where = condition if tenant is None else f"tenant = :tenant AND {condition}"
    query = f"SELECT id, bytes FROM entries WHERE {where} ORDER BY {order} LIMIT {_BATCH}"  # noqa: S608 - constants
    bound = {"seq": transaction.seq, "now": now, "tenant": tenant}
    rows = transaction.connection.exec_driver_sql(query, bound)
    return [(row[0], row[1]) for row in rows]
