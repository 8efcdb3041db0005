"""The words of GPTCache's `cache_config.yaml`, as data: name, default, kind, meaning here.

`vocabulary` reads a configuration by this table, and the configuration reference is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value must be, in words and as a test."""

    says: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Word:
    """One key. `only` lists the values that are served, where not all are; `instead` says what to
    use in place of another.
    """

    path: str
    default: Any
    kind: Kind
    meaning: str
    alias: str = ""
    only: tuple[Any, ...] = ()
    instead: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The dotted name and, where there is one, its alias."""
        return (self.path, self.alias) if self.alias else (self.path,)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_TEXT = Kind("a text", lambda value: isinstance(value, str) and bool(value.strip()))
_TEXTS = Kind("a list of texts", _is_texts)
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))
_COUNT = Kind("a whole number from 1 on", lambda value: _is_whole(value) and value >= 1)
_SHARE = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_ABOVE_ZERO = Kind("a number above 0", lambda value: _is_number(value) and value > 0)
_SECTION = Kind("a section with keys", lambda value: isinstance(value, dict))
_EMPTY = Kind("empty", lambda value: value == {})
_NOTHING = Kind("null", lambda value: value is None)
_EVICTIONS = ("lru", "lfu", "fifo", "cost")
_NO_RANDOM = "use LRU, LFU, FIFO or cost"

VOCABULARY: tuple[Word, ...] = (
    Word(
        "embedding",
        "onnx",
        _TEXT,
        "The sentence encoder: the local ONNX model.",
        alias="model_source",
        only=("onnx",),
        instead="the encoder here is 'onnx'",
    ),
    Word(
        "embedding_config",
        {},
        _SECTION,
        "Settings of the encoder, passed on to it.",
        alias="model_config",
    ),
    Word(
        "storage_config.manager",
        "sqlite,faiss",
        _TEXT,
        "The scalar store and the vector store.",
        only=("sqlite,faiss",),
        instead="use 'sqlite,faiss'",
    ),
    Word(
        "storage_config.data_dir",
        "gptcache_data",
        _TEXT,
        "The folder of the database and its index.",
    ),
    Word(
        "storage_config.max_size",
        None,
        _COUNT,
        "The same as eviction_params.max_size.",
    ),
    Word(
        "storage_config.clean_size",
        None,
        _COUNT,
        "Accepted; eviction here removes as many entries as are too many.",
    ),
    Word(
        "storage_config.eviction",
        "LRU",
        _TEXT,
        "The same as eviction_params.eviction.",
        only=_EVICTIONS,
        instead=_NO_RANDOM,
    ),
    Word(
        "storage_config.eviction_manager",
        "memory",
        _TEXT,
        "Who evicts: the store itself.",
        only=("memory",),
        instead="the store evicts by itself; use 'memory'",
    ),
    Word(
        "storage_config.vector_params.dimension",
        None,
        _COUNT,
        "Numbers in a vector; must be the encoder's.",
    ),
    Word(
        "storage_config.vector_params.top_k",
        1,
        _COUNT,
        "How many nearest candidates are judged, in place of policy.candidates.",
    ),
    Word(
        "storage_config.scalar_params",
        {},
        _EMPTY,
        "Must be empty: the database is in data_dir.",
        instead="the database is in data_dir",
    ),
    Word(
        "storage_config.object_params",
        {},
        _EMPTY,
        "Must be empty: an answer is stored in its row.",
        instead="an answer is stored in its row",
    ),
    Word(
        "storage_config.eviction_params.max_size",
        None,
        _COUNT,
        "Entries to keep at most. GPTCache keeps 1000 where nothing is said.",
    ),
    Word(
        "storage_config.eviction_params.clean_size",
        None,
        _COUNT,
        "Accepted; eviction here removes as many entries as are too many.",
    ),
    Word(
        "storage_config.eviction_params.eviction",
        "LRU",
        _TEXT,
        "Which entries go first: LRU, LFU, FIFO, or (new here) cost: the cheapest to make again.",
        only=_EVICTIONS,
        instead=_NO_RANDOM,
    ),
    Word(
        "evaluation",
        "distance",
        _TEXT,
        "How a candidate is judged: distance (by cosine) or exact (equal requests only).",
    ),
    Word(
        "evaluation_config.max_distance",
        4.0,
        _ABOVE_ZERO,
        "The squared distance that scores 0; a larger one counts as this one.",
        alias="evaluation_kws.max_distance",
    ),
    Word(
        "evaluation_config.positive",
        False,
        _FLAG,
        "Whether the store's measure grows with similarity; it is then the cosine.",
        alias="evaluation_kws.positive",
    ),
    Word(
        "pre_function",
        "get_prompt",
        _TEXT,
        "What of the last user text is the question, and what must be equal.",
    ),
    Word(
        "pre_context_function",
        None,
        _TEXT,
        "What is made of the turns before: concat, they must be equal.",
        only=("concat",),
        instead="the turns before are compared as they are; use 'concat' or leave it out",
    ),
    Word(
        "pre_context_config",
        {},
        _EMPTY,
        "Must be empty: concat has no settings.",
        instead="concat has no settings",
    ),
    Word(
        "post_function",
        "first",
        _TEXT,
        "Which of several candidates answers.",
    ),
    Word(
        "config.similarity_threshold",
        0.8,
        _SHARE,
        "The least similarity that hits, on GPTCache's scale: t is a cosine of 2t - 1.",
    ),
    Word(
        "config.prompts",
        (),
        _TEXTS,
        "Regular expressions that last_content_without_prompt cuts out of the question.",
    ),
    Word(
        "config.template",
        None,
        _TEXT,
        "The template whose values last_content_without_template takes for the question.",
    ),
    Word(
        "config.auto_flush",
        20,
        _COUNT,
        "Accepted; an entry is durable at once, and the index can always be rebuilt.",
    ),
    Word(
        "config.skip_list",
        ("system", "assistant"),
        _TEXTS,
        "Accepted; turns of every role are part of the scope here and never skipped.",
    ),
    Word(
        "config.context_len",
        None,
        _COUNT,
        "Accepted; the whole conversation must be equal here, not only its last turns.",
    ),
    Word(
        "config.input_summary_len",
        None,
        _NOTHING,
        "Must be null: a question is never shortened before it is matched.",
        instead="a question is never shortened before it is matched",
    ),
    Word(
        "config.enable_token_counter",
        True,
        _FLAG,
        "Accepted; usage is what the answerer reported.",
    ),
    Word(
        "config.data_check",
        False,
        _FLAG,
        "Accepted; vector and answer are one row, and the index is checked against it.",
    ),
    Word(
        "config.disable_report",
        False,
        _FLAG,
        "Accepted; no row is written for a hit.",
    ),
    Word(
        "config.log_time_func",
        None,
        _NOTHING,
        "Must be null: a function cannot come from a file; read the metrics instead.",
        instead="a function cannot come from a file",
    ),
)
