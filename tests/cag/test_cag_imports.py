"""The settings are read without torch, and the engine's packages stand in one order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_ORDER = (
    "settings",
    "prompting",
    "network",
    "context",
    "lean",
    "opening",
    "turning",
    "blocks",
    "knowledge",
    "answering",
    "engine",
    "finetune",
)
"""Each may import from those before it."""

_PROGRAM = """
import sys
import semcache.cag.settings, semcache.cag.answering.options, semcache.cag.prompting.conversation
import semcache.cag.answering.wire, semcache.cag.turning.scheduler
heavy = sorted({"torch", "transformers", "tokenizers"} & set(sys.modules))
print(",".join(heavy))
"""


def test_settings_and_what_is_pure_load_no_heavy_package() -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=root, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "\n")


@pytest.mark.parametrize("name", _ORDER)
def test_packages_import_those_before_them(name: str) -> None:
    root = Path(__file__).parents[2] / "semcache" / "cag"
    files = [*root.glob(f"{name}.py"), *(root / name).glob("*.py")]
    used = {
        part for file in files for part in re.findall(r"semcache\.cag\.(\w+)", file.read_text())
    }
    assert files
    assert used <= set(_ORDER[: _ORDER.index(name) + 1])
