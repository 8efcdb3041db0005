"""GPTCache's `cache_config.yaml`: every key, and what it means here.

The vocabulary is data (`VOCABULARY`); `read_vocabulary` takes GPTCache's sections out of a mapping
and leaves the others to whoever owns them. A key keeps the meaning that it has in GPTCache 0.1.44,
or is refused with what to use instead; none is ignored without a word. A key with no value (YAML's
null) counts as not given, as in GPTCache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from semcache.errors import ConfigError
from semcache.gptcache.functions import choose_of, extract_of
from semcache.gptcache.threshold import cosine_threshold
from semcache.gptcache.words import VOCABULARY, Word
from semcache.sections import nearest_key


@dataclass(frozen=True, slots=True)
class GptcacheSettings:
    """What a configuration says in GPTCache's vocabulary, defaults filled in.

    `similarity_threshold` is on GPTCache's scale and `cosine_threshold` is the same as a cosine.
    `semantic` is False for the exact evaluation. `max_entries` None: not said. `given` holds the
    dotted names that the configuration sets itself.
    """

    embedding: str
    embedding_config: Mapping[str, Any]
    data_dir: Path
    max_entries: int | None
    eviction: Literal["lru", "lfu", "fifo", "cost"]
    dimension: int | None
    top_k: int
    evaluation: str
    similarity_threshold: float
    cosine_threshold: float
    pre_function: str
    post_function: str
    prompts: tuple[str, ...]
    template: str | None
    skip_list: tuple[str, ...]
    auto_flush: int
    given: frozenset[str] = frozenset()

    @property
    def semantic(self) -> bool:
        """Whether near-duplicates may be served at all."""
        return self.evaluation == "distance"


KNOWN_KEYS: tuple[str, ...] = tuple(
    dict.fromkeys(name.partition(".")[0] for word in VOCABULARY for name in word.names)
)
"""GPTCache's top-level keys, aliases included."""


def read_vocabulary(config: Mapping[str, Any]) -> GptcacheSettings:
    """Read GPTCache's part of a configuration; other top-level keys are not looked at.

    Raises ConfigError, naming the dotted key, for an unknown key inside a section, a value of the
    wrong type, a key given with its alias, or a choice that cannot be served.
    """
    given = _given(config)
    values = {word.path: given.get(word.path, word.default) for word in VOCABULARY}
    evaluation = _evaluation(values["evaluation"])
    _require_usable(given, evaluation)
    prompts = tuple(values["config.prompts"])
    settings = GptcacheSettings(
        embedding=values["embedding"].lower(),
        embedding_config=values["embedding_config"],
        data_dir=Path(values["storage_config.data_dir"]).expanduser(),
        max_entries=_one_of(given, "storage_config.eviction_params.max_size", "max_size", None),
        eviction=_one_of(given, "storage_config.eviction_params.eviction", "eviction", "lru"),
        dimension=values["storage_config.vector_params.dimension"],
        top_k=values["storage_config.vector_params.top_k"],
        evaluation=evaluation,
        similarity_threshold=values["config.similarity_threshold"],
        cosine_threshold=cosine_threshold(
            values["config.similarity_threshold"],
            values["evaluation_config.max_distance"],
            values["evaluation_config.positive"],
        ),
        pre_function=values["pre_function"],
        post_function=values["post_function"],
        prompts=prompts,
        template=values["config.template"],
        skip_list=tuple(values["config.skip_list"]),
        auto_flush=values["config.auto_flush"],
        given=frozenset(given),
    )
    extract_of(settings.pre_function, prompts, settings.template)
    choose_of(settings.post_function)
    return settings


# ---------------------------------------------------------------------------------------- reading


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a configuration sets, by their dotted name, checked against their kind."""
    words = {name: word for word in VOCABULARY for name in word.names}
    _require_one_name(config)
    given: dict[str, Any] = {}
    for path, value in _leaves(config, "", words):
        word = words[path]
        if value is None:
            continue
        if not word.kind.holds(value):
            why = f" ({word.instead})" if word.instead else ""
            raise ConfigError(f"'{path}' must be {word.kind.says}, not {_shown(value)}{why}.")
        given[word.path] = value
    return given


def _require_one_name(config: Mapping[str, Any]) -> None:
    for word in VOCABULARY:
        name, alias = word.path.partition(".")[0], word.alias.partition(".")[0]
        if alias and config.get(name) is not None and config.get(alias) is not None:
            raise ConfigError(f"'{name}' and '{alias}' are two names of one key; keep one.")


def _leaves(
    section: Mapping[Any, Any], prefix: str, words: Mapping[str, Word]
) -> Iterable[tuple[str, Any]]:
    """Every dotted key under a section with its value; unknown ones are errors below the top."""
    for key, value in section.items():
        path = f"{prefix}{key}"
        if path in words:
            yield path, value
            continue
        below = [name for name in words if name.startswith(path + ".")]
        if below and (value is None or isinstance(value, Mapping)):
            yield from _leaves(value or {}, path + ".", words)
        elif below:
            raise ConfigError(f"'{path}' must be a section with keys, not {_shown(value)}.")
        elif prefix:
            raise ConfigError(_unknown(str(key), prefix, words))


def _unknown(key: str, prefix: str, words: Mapping[str, Word]) -> str:
    inside = (name[len(prefix) :] for name in words if name.startswith(prefix))
    known = sorted({name.partition(".")[0] for name in inside})
    near = nearest_key(key, known)
    hint = f"did you mean '{prefix}{near}'?" if near else f"known keys: {', '.join(known)}."
    return f"Unknown key '{prefix}{key}': {hint}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# --------------------------------------------------------------------------------------- meanings


def _one_of(given: Mapping[str, Any], path: str, short: str, default: Any) -> Any:
    """A key of `eviction_params` that may also stand in `storage_config` itself."""
    direct = f"storage_config.{short}"
    values = [given[name] for name in (path, direct) if name in given]
    if len(values) == 2 and values[0] != values[1]:
        raise ConfigError(f"'{path}' and '{direct}' differ; keep one of them.")
    value = values[0] if values else default
    return value.lower() if isinstance(value, str) else value


def _evaluation(name: str) -> str:
    """`distance` or `exact`; a longer name that holds one of them means it, as in GPTCache."""
    lowered = name.lower()
    for known in ("distance", "exact"):
        if known in lowered:
            return known
    near = nearest_key(lowered, ("distance", "exact"))
    hint = f"did you mean '{near}'?" if near else "use 'distance' (cosine) or 'exact'."
    raise ConfigError(f"'evaluation: {name}' is not available: {hint}")


def _require_usable(given: Mapping[str, Any], evaluation: str) -> None:
    for word in VOCABULARY:
        value = given.get(word.path)
        if value is None or not word.only:
            continue
        lowered = value.lower().replace(" ", "") if isinstance(value, str) else value
        if lowered not in word.only:
            raise ConfigError(f"'{word.path}: {_shown(value)}' is not available: {word.instead}.")
    extra = [path for path in given if path.startswith("evaluation_config.")]
    if extra and evaluation != "distance":
        raise ConfigError(f"'{extra[0]}' belongs to 'evaluation: distance' only.")
