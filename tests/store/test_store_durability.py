"""kill -9 at any moment: what was acknowledged is there, and everything agrees.

SEMCACHE_KILL_ROUNDS sets how many times (four by default).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.store.samples import scope
from tests.store.writing_process import opened, vector_of

ROUNDS = int(os.environ.get("SEMCACHE_KILL_ROUNDS", "4"))
ROOT = Path(__file__).parents[2]


def killed_run(directory: Path, seed: int, after_s: float) -> list[str]:
    """What a child acknowledged before it was killed, a line each."""
    command = [sys.executable, "-m", "tests.store.writing_process", "put", str(directory)]
    with subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        child.send_signal(signal.SIGKILL)
        said = child.stdout.read().decode()
    assert child.returncode == -signal.SIGKILL
    return said[: said.rfind("\n") + 1].splitlines()


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    moments = random.Random(0)
    there: set[str] = set()
    gone: set[str] = set()
    for seed in range(ROUNDS):
        lines = killed_run(tmp_path, seed, moments.uniform(0.01, 0.8))
        there.update(line[2:] for line in lines if line[0] == "+")
        gone.update(line[2:] for line in lines if line[0] == "-")
        with opened(tmp_path) as store:
            report = store.check()
            assert report.problems == ()
            assert report.entries == report.vectors
            found = {kept.key: kept for kept in store.scan()}
            assert there <= set(found)
            assert not gone & set(found)
            for key in sorted(there)[-20:]:
                assert found[key].completion.text == f"answer of {key}"
                nearest = store.search(scope(), vector_of(int(key.split("-")[1])), 1 + seed)
                assert key in {candidate.entry.key for candidate in nearest}
    assert there
    assert gone
