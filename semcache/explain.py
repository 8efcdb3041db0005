"""What happened to a request, in response headers: RFC 9211 `Cache-Status`, `Age`, `x-semcache-*`.

Pure. `fwd` says why a request went on (RFC 9211, section 2.2); details are quoted strings.
"""

from __future__ import annotations

from typing import TypeAlias

from semcache.freshness import STALE_WHILE_REVALIDATE
from semcache.interfaces import Bypass, Entry, Hit, Miss
from semcache.policy import Keep
from semcache.prices import Saved
from semcache.reply import Reply

Headers: TypeAlias = list[tuple[bytes, bytes]]


def reply_headers(reply: Reply, now: float) -> Headers:
    """The headers of a reply; `stored` is claimed only when it is already true."""
    key = reply.plan.key.exact[:32].encode()
    headers = [(b"x-semcache-key", key)]
    if reply.decided.saved is not None:
        headers += saved_headers(reply.decided.saved)
    if reply.certificate:
        headers.append((b"x-semcache-certificate", reply.certificate.encode("latin-1")))
    if reply.decided.outage is not None:
        return headers + _outage_headers(*reply.decided.outage, key, now)
    match reply.decision:
        case Hit() as hit:
            headers += _hit_headers(hit, key, now)
            if reply.decision_id and hit.tier == "semantic":
                headers.append((b"x-semcache-decision", reply.decision_id.encode()))
        case Miss() as miss:
            headers += _miss_headers(reply, miss, key)
        case Bypass() as bypass:
            fwd = "request" if bypass.reason.startswith("request=") else "bypass"
            status = f"semcache; fwd={fwd}{_stored(reply)}; detail={quoted(bypass.reason)}"
            headers.append((b"cache-status", status.encode()))
            headers.append((b"x-semcache-status", b"BYPASS"))
    return headers


def _hit_headers(hit: Hit, key: bytes, now: float) -> Headers:
    entry = hit.entry
    age = max(0, int(now - entry.created_at))
    ttl = b"" if entry.expires_at is None else b"; ttl=%d" % int(entry.expires_at - now)
    if hit.reason == STALE_WHILE_REVALIDATE:
        detail, status = b'"stale-while-revalidate"', b"STALE"
    elif hit.tier == "exact":
        detail, status = b"exact", b"HIT"
        if entry.expires_at is not None and entry.expires_at <= now:
            detail, status = b'"max-stale"', b"STALE"  # as the request has allowed
    else:
        seen = f'"semantic;sim={hit.similarity:.4f};thr={hit.threshold:.4f}"'
        detail, status = seen.encode(), b"SEMANTIC_HIT"
    cache_status = b'semcache; hit%b; key="%b"; detail=%b' % (ttl, key, detail)
    headers = [
        (b"cache-status", cache_status),
        (b"age", b"%d" % age),
        (b"x-semcache-status", status),
        (b"x-semcache-entry-id", b"%d" % entry.id),
    ]
    if hit.tier == "semantic":
        headers.append((b"x-semcache-similarity", b"%.4f" % hit.similarity))
    return headers


def saved_headers(saved: Saved) -> Headers:
    """What hits have saved, where the price list has their model.

    RFC 8941 has three decimals, too few for the price of one answer: millionths, whole.
    """
    if not saved.usd:
        return []
    tokens = saved.prompt_tokens + saved.completion_tokens
    micros, ms = round(saved.usd * 1_000_000), round(saved.seconds * 1000)
    return [(b"x-semcache-saved", b"tokens=%d, usd-micros=%d, ms=%d" % (tokens, micros, ms))]


def _outage_headers(entry: Entry, status: int, key: bytes, now: float) -> Headers:
    """A stale answer in place of an error: a negative ttl, as RFC 9211, section 2.4 has it."""
    ttl = int((entry.expires_at or now) - now)
    detail = b'"stale-if-error;status=%d"' % status
    return [
        (b"cache-status", b'semcache; hit; ttl=%d; key="%b"; detail=%b' % (ttl, key, detail)),
        (b"age", b"%d" % max(0, int(now - entry.created_at))),
        (b"x-semcache-status", b"STALE"),
        (b"x-semcache-entry-id", b"%d" % entry.id),
    ]


def _miss_headers(reply: Reply, miss: Miss, key: bytes) -> Headers:
    detail = miss.reason if miss.nearest is None else f"{miss.reason};near={miss.nearest:.4f}"
    joined = reply.decided.joined
    if joined is not None:
        detail = f"{miss.reason};joined={joined[0]:.4f}"
    is_shared = reply.collapsed or joined is not None
    collapsed = "; collapsed" if is_shared else ""
    fwd = "stale" if miss.reason == "stale" else "miss"
    stored = _stored(reply)
    cache_status = (
        f'semcache; fwd={fwd}{collapsed}{stored}; key="{key.decode()}"; detail={quoted(detail)}'
    )
    status = b"COALESCED" if is_shared else b"MISS"
    headers = [(b"cache-status", cache_status.encode()), (b"x-semcache-status", status)]
    if joined is not None:
        headers.append((b"x-semcache-similarity", b"%.4f" % joined[0]))
    if reply.answerer:
        headers.append((b"x-semcache-answerer", reply.answerer.encode("latin-1")))
    return headers


def _stored(reply: Reply) -> str:
    return "; stored" if isinstance(reply.decided.kept, Keep) else ""


def quoted(text: str) -> str:
    """An RFC 8941 string: printable ASCII, backslash and quote escaped."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
