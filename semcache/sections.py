"""A mapping, as YAML gives it, into a frozen dataclass: every key known, every value of its type.

An unknown key is an error that names the nearest known one; a wrong value names its dotted path.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from semcache.errors import ConfigError

S = TypeVar("S")

_SAID = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
    type(None): "null",
}


def read_section(kind: type[S], values: object, path: str) -> S:
    """Build `kind` from a mapping; `path` is the section's dotted name. Raises ConfigError."""
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ConfigError(f"'{path}' must be a section with keys, not {_shown(values)}.")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    require_known(values, names, path)
    read = {name: _read(hints[name], value, f"{path}.{name}") for name, value in values.items()}
    try:
        return kind(**read)
    except TypeError as error:
        raise ConfigError(f"'{path}' is incomplete: {error}.") from None


def require_known(values: Mapping[Any, object], known: Iterable[str], path: str = "") -> None:
    """Raise ConfigError for the first key that is not known."""
    names = list(known)
    for key in values:
        if key in names:
            continue
        dotted = f"{path}.{key}" if path else str(key)
        near = nearest_key(str(key), names)
        hint = f"Did you mean '{near}'?" if near else f"Known keys: {', '.join(sorted(names))}."
        raise ConfigError(f"Unknown key '{dotted}'. {hint}")


def nearest_key(unknown: str, known: Iterable[str]) -> str | None:
    """The known name that is most like an unknown one, or None where none is like it."""
    near = difflib.get_close_matches(unknown, list(known), n=1, cutoff=0.5)
    return near[0] if near else None


def _read(hint: Any, value: object, path: str) -> Any:
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    for choice in choices:
        matched, read = _match(choice, value, path)
        if matched:
            return read
    said = " or ".join(_say(choice) for choice in choices)
    raise ConfigError(f"'{path}' must be {said}, not {_shown(value)}.")


def _match(hint: Any, value: object, path: str) -> tuple[bool, Any]:
    if _holds_sections(hint):
        return _sections(typing.get_args(hint)[0], value, path)
    if typing.get_origin(hint) is tuple:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return fits, tuple(value) if isinstance(value, list | tuple) else ()
    if typing.get_origin(hint) is typing.Literal:
        known = typing.get_args(hint)
        if value is False and "off" in known:  # YAML 1.1 reads a bare off as false
            value = "off"
        return value in known, value
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool), value
    if hint is Path:
        return isinstance(value, str), Path(str(value)).expanduser()
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool), value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        fits = isinstance(value, Mapping)
        return fits, read_section(hint, value, path) if fits else None
    if isinstance(hint, type):
        return isinstance(value, hint), value
    return typing.get_origin(hint) in (dict, Mapping) and isinstance(value, dict), value


def _holds_sections(hint: Any) -> bool:
    """Whether a key holds a list of sections."""
    return typing.get_origin(hint) is tuple and dataclasses.is_dataclass(typing.get_args(hint)[0])


def _sections(kind: Any, value: object, path: str) -> tuple[bool, Any]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
        return False, ()
    return True, tuple(read_section(kind, one, f"{path}[{at}]") for at, one in enumerate(value))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _say(hint: Any) -> str:
    if _holds_sections(hint):
        return "a list of sections"
    if typing.get_origin(hint) is tuple:
        return "a list of texts"
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in typing.get_args(hint))
    return _SAID.get(hint, "a section with keys")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
