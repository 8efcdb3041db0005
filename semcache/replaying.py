"""The stream of a stored answer, as fast as its request wants it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from semcache.interfaces import Hit
from semcache.new_entry import pace_of
from semcache.pacing import offsets_s, paced
from semcache.render import Rendered
from semcache.reply import Reply


def events_of(reply: Reply, rendered: Rendered, now: float) -> list[bytes]:
    """The server-sent events of a hit; `rendered` is its answer to this request."""
    usage = reply.plan.request.include_usage
    return rendered.events(int(now), include_usage=usage, name=reply.decision_id)


def paced_events(reply: Reply, rendered: Rendered, now: float) -> AsyncGenerator[bytes, None]:
    """The events of a hit whose request wants a pace, each when it is due.

    Whoever leaves closes the generator, or cancels who waits for it. Raises ValueError for others.
    """
    pace, hit = reply.plan.pace, reply.decision
    if pace is None or not isinstance(hit, Hit):
        raise ValueError("not a hit that is streamed at a pace")
    events, entry = events_of(reply, rendered, now), hit.entry
    wire = entry.completion.wire
    return paced(events, offsets_s(len(events), pace, wire, pace_of(entry), entry.cost_s))
