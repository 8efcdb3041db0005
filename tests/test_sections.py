"""Configuration values: each of its type, each unknown key with its nearest known one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from semcache.errors import ConfigError
from semcache.sections import nearest_key, read_section


@dataclass(frozen=True)
class Sample:
    name: str = "x"
    count: int = 1
    share: float = 0.5
    on: bool = True
    names: tuple[str, ...] = ()
    folder: Path | None = None
    mode: Literal["auto", "cpu"] = "auto"
    limit: float | None = None


def test_values_are_read_as_they_are() -> None:
    read = read_section(
        Sample,
        {"name": "n", "count": 2, "share": 1, "names": ["a", "b"], "folder": "~/k", "mode": "cpu"},
        "sample",
    )
    assert read == Sample("n", 2, 1, True, ("a", "b"), Path("~/k").expanduser(), "cpu", None)
    assert read_section(Sample, None, "sample") == Sample()
    assert read_section(Sample, {"limit": None}, "sample").limit is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": "x"}, "Unknown key 'sample.nmae'. Did you mean 'name'?"),
        ({"zzzzzzzz": 1}, "Known keys: count, folder"),
        ({"count": "2"}, "'sample.count' must be a whole number, not '2'"),
        ({"count": True}, "'sample.count' must be a whole number"),
        ({"share": True}, "'sample.share' must be a number"),
        ({"on": 1}, "'sample.on' must be true or false"),
        ({"names": "a"}, "'sample.names' must be a list of texts"),
        ({"names": [1]}, "'sample.names' must be a list of texts"),
        ({"folder": 3}, "'sample.folder' must be a path or null"),
        ({"mode": "gpu"}, "'sample.mode' must be one of auto, cpu"),
        ([1], "'sample' must be a section with keys"),
    ],
)
def test_bad_values_are_named(values: object, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_section(Sample, values, "sample")
    assert message in str(raised.value)


def test_nearest_key() -> None:
    assert nearest_key("storge_config", ["storage_config", "config"]) == "storage_config"
    assert nearest_key("qqqq", ["storage_config", "config"]) is None
