"""Where passages stand in a prompt, and what each is read after. Pure.

- **tree**: each passage is read after all before it: exact, as the model would read the prompt.
  A canonical order lets questions share the reading of the same passages.
- **blocks**: the best passage is read after the head, which is exact too; every other one alone,
  or after a sink that all share, and is then moved to its place (Block-Attention,
  arXiv 2409.15355). The sink is the prompt's head, or its first tokens (StreamingLLM,
  arXiv 2309.17453). The second best stands last, next to the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from semcache.cag.blocks.block_store import BlockKeys

Ids: TypeAlias = tuple[int, ...]
Sink: TypeAlias = Literal["none", "sink", "head"]

SINK_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Tokens in their place. `key` names them and what they were read after.

    `after`: (index of an earlier place, how many of its tokens), in order. `shift`: how many
    positions later they stand than they were read.
    """

    ids: Ids
    key: str
    after: tuple[tuple[int, int], ...] = ()
    shift: int = 0


def tree(keys: BlockKeys, head: Ids, texts: Sequence[Ids]) -> list[Place]:
    """Head and passages, each read after all before it."""
    places: list[Place] = []
    key = keys.root
    for ids in (head, *texts):
        key = keys.after(key, ids)
        before = tuple((at, len(one.ids)) for at, one in enumerate(places))
        places.append(Place(ids, key, before))
    return places


def blocks(keys: BlockKeys, head: Ids, texts: Sequence[Ids], sink: Sink) -> list[Place]:
    """Head, the first passage after it, and the others moved to their places."""
    places = tree(keys, head, texts[:1])
    seen = {"none": 0, "sink": min(SINK_TOKENS, len(head)), "head": len(head)}[sink]
    before = keys.after(keys.root, head[:seen]) if seen else keys.root
    after = ((0, seen),) if seen else ()
    start = sum(len(one.ids) for one in places)
    for ids in texts[1:]:
        places.append(Place(ids, keys.after(before, ids), after, start - seen))
        start += len(ids)
    return places


def block_order(best_first: Sequence[Ids]) -> list[Ids]:
    """The best, then the others with the better ones later."""
    return [*best_first[:1], *reversed(best_first[1:])]
