"""Several answers to one request that wants another one each time: temperature without a seed.

The first requests are answered anew and stored, each under a key of its own; then one of the
answers is served at random. An answer whose time is over leaves its place to a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeAlias

from semcache import policy
from semcache.entry import Entry
from semcache.interfaces import Hit
from semcache.reply import Plan

Get: TypeAlias = Callable[[str], Entry | None]
_HEX = frozenset("0123456789abcdef")


def variant_key(exact: str, variant: int) -> str:
    """The exact key of one variant; the first one's is that of the request."""
    if not variant:
        return exact
    return blake2b(b"variant" + bytes.fromhex(exact) + bytes([variant]), digest_size=32).hexdigest()


def all_keys(exact: str, most: int) -> list[str]:
    """Every key that an answer to a request may lie under; what is no exact key has no variants."""
    if len(exact) != 64 or not set(exact) <= _HEX:
        return [exact]
    return [variant_key(exact, variant) for variant in range(max(1, most))]


def one_of(plan: Plan, get: Get, now: float, chance: Callable[[], float]) -> Entry | None:
    """One of the stored answers, once there are enough; before that only where nobody is asked.

    To a request without variants: the one under its key, whatever it is worth.
    """
    most = plan.admission.variants
    if not most:
        return get(plan.key.exact)
    found = [entry for key in all_keys(plan.key.exact, most) if (entry := get(key)) is not None]
    found = [one for one in found if _serves(one, plan, now)]
    if not found or (len(found) < most and plan.may_be_answered):
        return None
    return found[int(chance() * len(found))]


def free_place(plan: Plan, get: Get, now: float) -> int | None:
    """The first variant that is missing or over; None where all places are taken."""
    for variant in range(plan.admission.variants):
        entry = get(variant_key(plan.key.exact, variant))
        if entry is None or (entry.expires_at is not None and entry.expires_at <= now):
            return variant
    return None


def _serves(entry: Entry, plan: Plan, now: float) -> bool:
    return isinstance(policy.judge_exact(entry, now, plan.directives), Hit)
