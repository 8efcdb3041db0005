"""python building_process.py DATA DOCS: builds the catalogue, a line for each step."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.knowledge.knowledge_world import Counted, opened

if __name__ == "__main__":
    counted = Counted()
    library = opened(Path(sys.argv[1]), Path(sys.argv[2]), embedder=counted, most=40)
    for step in library.steps():
        print(f"{step.done} {step.encoded}", flush=True)
    print(f"encoded {len(counted.read)}", flush=True)
    library.close()
