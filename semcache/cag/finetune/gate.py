"""The report beside a model's weights that lets the engine answer from blocks, or not."""

from __future__ import annotations

import json
from pathlib import Path

from semcache.cag.blocks.gate import NAME
from semcache.cag.finetune.evaluation import Score


def write_gate(folder: Path, weights: str, repair: str, full: Score, blocks: Score) -> Path:
    """`weights` is the model's identity, `repair` how its blocks are read. Raises OSError."""
    report = {
        "model": weights,
        "mode": "blocks",
        "repair": repair,
        "full": full.right,
        "blocks": blocks.right,
        "questions": blocks.questions,
        "agreement": blocks.same,
        "divergence": blocks.divergence,
    }
    path = folder / NAME
    making = folder / f".{NAME}.new"
    making.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    making.replace(path)
    return path
