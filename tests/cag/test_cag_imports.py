"""The settings are read without torch: a proxy without an engine never loads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
import semcache.cag.settings, semcache.cag.options, semcache.cag.conversation
import semcache.cag.wire, semcache.cag.scheduler
heavy = sorted({"torch", "transformers", "tokenizers"} & set(sys.modules))
print(",".join(heavy))
"""


def test_settings_and_what_is_pure_load_no_heavy_package() -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=root, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "\n")
