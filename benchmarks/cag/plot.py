"""What `benchmarks.cag` measured, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def plot_first_token(result: Mapping[str, Any], path: Path) -> None:
    """Seconds, and billions of operations, by prompt length; both axes logarithmic."""
    pyplot = _pyplot()
    figure, (seconds, work) = pyplot.subplots(1, 2, figsize=(10, 4.2), dpi=120)
    rows = result["rows"]
    later = [row for row in rows if "prefix_s" in row]
    for name, label in (("full", "full prefill"), ("prefix", "prefix"), ("blocks", "blocks")):
        shown = [row for row in rows if f"{name}_s" in row]
        lengths = [row["tokens"] for row in shown]
        seconds.plot(lengths, [row[f"{name}_s"] for row in shown], marker="o", label=label)
    work.plot(
        [r["tokens"] for r in rows], [r["full_gflop"] for r in rows], marker="o", label="full"
    )
    at = [row["tokens"] for row in later]
    work.plot(at, [row["cached_gflop"] for row in later], marker="o", label="prefix or blocks")
    for axes, name in ((seconds, "first token, s"), (work, "first token, GFLOP")):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("tokens of the prompt, 50 of them the question")
        axes.set_ylabel(name)
        axes.grid(alpha=0.25)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, format="png")
    pyplot.close(figure)


def plot_quality(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Right answers by way of reading, a group of bars for each model."""
    pyplot = _pyplot()
    names = list(dict.fromkeys(name for result in results for name in result["scores"]))
    figure, axes = pyplot.subplots(figsize=(9, 4.2), dpi=120)
    width = 0.8 / len(results)
    for at, result in enumerate(results):
        scores = result["scores"]
        places = [number + at * width for number, name in enumerate(names) if name in scores]
        shares = [scores[name]["right"] for name in names if name in scores]
        axes.bar(places, shares, width, label=result["model"])
    middle = 0.4 - width / 2
    axes.set_xticks([number + middle for number in range(len(names))], names, rotation=20)
    axes.set_ylabel("right answers, share")
    axes.grid(alpha=0.25, axis="y")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, format="png")
    pyplot.close(figure)
