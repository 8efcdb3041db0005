"""What a new configuration changes in a running cache, and what waits for a restart. Pure but for
`reloaded`, which opens what requests go to from then on.

Requests that have begun keep what they began with: what is replaced is given back to the caller,
to be closed when the last of them must be over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from semcache.assembly import Assembled
from semcache.config import Config
from semcache.doors import open_door, open_pass_through
from semcache.engines import answerers_of, open_upstream
from semcache.failover import Failover
from semcache.grounding import Grounded
from semcache.installation import read_secret
from semcache.pass_through import PassThrough
from semcache.server_keys import Doorkeeper

_KNOWLEDGE = frozenset({"knowledge", "knowledge_tokens", "passages", "passage_tokens"})
_AT_START = frozenset(
    {
        "host",
        "port",
        "shutdown_grace_s",
        "knowledge_poll_s",
        "traces",
        "log_format",
        "workers",
        "promote_after",
    }
)
_THRESHOLDS = frozenset({"similarity_threshold", "cosine_threshold", "top_k", "given"})


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The new state, the dotted keys that changed in the file only, and what was replaced."""

    assembled: Assembled
    waiting: tuple[str, ...]
    upstream: Failover | Grounded | None = None
    door: Doorkeeper | PassThrough | None = None

    async def close_replaced(self) -> None:
        """When nobody uses it any more."""
        if self.upstream is not None:
            await self.upstream.aclose()
        if self.door is not None:
            self.door.close()


def applied(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """`old` with what `new` changes and can change now; the keys of what it cannot."""
    live = {
        "gptcache": _taken(old.gptcache, new.gptcache, _THRESHOLDS),
        "policy": new.policy,
        "prices": new.prices,
        "upstream": _taken(old.upstream, new.upstream, _names(new.upstream) - _KNOWLEDGE),
        "server": _taken(old.server, new.server, _names(new.server) - _AT_START),
    }
    if old.trust.max_wrong_rate is not None:  # the certificate was given for these guards
        live["policy"] = replace(new.policy, guards=old.policy.guards)
    if old.upstream.knowledge or "upstream" not in old.engines:
        live["upstream"] = old.upstream
    config = replace(old, **live)
    config.check()
    return config, tuple(_differing(config, new))


def reloaded(assembled: Assembled, new: Config) -> Reloaded:
    """The same cache with another configuration. Blocking. Raises ConfigError, StoreError.

    Nothing has changed where it raises.
    """
    old = assembled.config
    config, waiting = applied(old, new)
    directory = config.gptcache.data_dir
    secret = read_secret(directory)
    upstream, door = assembled.upstream, assembled.doorkeeper
    replaced_upstream = replaced_door = None
    if config.upstream != old.upstream or config.server.pass_through != old.server.pass_through:
        replaced_upstream, upstream = upstream, open_upstream(config, None, _silent)
    if upstream is not assembled.upstream or _door_of(config) != _door_of(old):
        replaced_door, ring = door, assembled.ring
        door = open_door(config, directory, secret, ring)
        door = door or open_pass_through(config, secret, upstream, ring)
        if door is not None:
            assembled.cache.closing.append(door.close)
    made = replace(assembled, config=config, upstream=upstream, doorkeeper=door)
    cache = assembled.cache
    answerers = cache.answerers
    if upstream is not assembled.upstream:
        answerers = tuple(answerers_of(config, assembled.engine, upstream))
    cache.reconfigure(config.policy_settings(), answerers)
    cache.recording.recent.show_questions = config.shows_questions
    return Reloaded(made, waiting, replaced_upstream, replaced_door)


def _door_of(config: Config) -> tuple[object, ...]:
    return config.server.keys, config.server.pass_through, dict(config.prices)


def _taken(old: Any, new: Any, names: frozenset[str]) -> Any:
    """`old` with these fields of `new`."""
    return replace(old, **{name: getattr(new, name) for name in names})


def _names(section: Any) -> frozenset[str]:
    return frozenset(one.name for one in fields(section))


def _differing(have: Config, wanted: Config) -> Iterator[str]:
    """The dotted names of what two configurations do not agree about."""
    for section in fields(Config):
        one, other = getattr(have, section.name), getattr(wanted, section.name)
        if one == other:
            continue
        if not hasattr(one, "__dataclass_fields__"):
            yield section.name
            continue
        prefix = "" if section.name == "gptcache" else f"{section.name}."
        for name in sorted(_names(one)):
            if name != "given" and getattr(one, name) != getattr(other, name):
                yield prefix + name


def _silent(line: str) -> None:
    return None
