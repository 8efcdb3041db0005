"""Sessions on the caller's thread and sessions on the process's pool, in either order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = """
import numpy as np
from semcache.onnx_graph import FLOATS, Nodes, open_part, open_session, own_process, size_pool

def model(by):
    nodes = Nodes()
    nodes.output("Mul", "y", "x", nodes.number(by))
    return nodes.model("scaled", {"x": (FLOATS, ["n"])}, {"y": (FLOATS, ["n"])})

def alone():
    return open_session(model(2.0))

def pooled():
    own_process()
    size_pool(2)
    return open_part(model(3.0))

rows = np.ones(3, dtype=np.float32)
opened = [make() for make in ORDER]
print([float(one.run(None, {"x": rows})[0][0]) for one in opened])
"""


FOREIGN = """
import onnxruntime
size_pool(2)
onnxruntime.InferenceSession(model(1.0).SerializeToString(), providers=["CPUExecutionProvider"])
"""


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("(alone, pooled, alone)", [2.0, 3.0, 2.0]),
        ("(pooled, alone, pooled)", [3.0, 2.0, 3.0]),
        ("(alone, alone)", [2.0, 2.0]),
    ],
)
def test_they_live_side_by_side(order: str, found: list[float]) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.replace("ORDER", order)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert run.stdout.strip() == str(found), run.stderr


def test_a_library_in_a_foreign_process_leaves_its_sessions_alone() -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.replace("ORDER", "(alone,)") + FOREIGN],
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
