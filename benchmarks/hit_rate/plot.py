"""The threshold curves as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.hit_rate.outcome import Row


def plot_curves(rows: Sequence[Row], path: Path, title: str) -> None:
    """Hit rate, false-hit rate and precision against GPTCache's threshold, as a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    x = [row.gptcache_threshold for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 4.8), dpi=120)
    false_hits = [row.false_hit_rate for row in rows]
    axes.plot(x, [row.hit_rate for row in rows], label="hit rate (paraphrases)", color="#1b7f4d")
    axes.plot(x, false_hits, label="false-hit rate (traps, unseen)", color="#c0392b")
    axes.plot(x, [row.precision for row in rows], label="precision", color="#2c5aa0", ls="--")
    axes.axvline(0.8, color="#888888", lw=0.8, ls=":")
    axes.set_xlabel("similarity_threshold on GPTCache's scale (cosine = 2t − 1)")
    axes.set_ylabel("share of questions")
    axes.set_ylim(0, 1.02)
    axes.set_title(title)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower left")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
