"""The streams and the pairs as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHOWN = (
    "GPTCache 0.8",
    "GPTCache 0.9",
    "vCache 2%",
    "ours 2% a request",
    "pooled 2% a request",
    "product 2% a request",
    "product 2% r. learned",
)


def plot_streams(result: Mapping[str, Any], path: Path, title: str) -> None:
    """Hits and wrong answers a request over time, shuffled order, as a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, both = pyplot.subplots(1, 2, figsize=(11, 4.4), dpi=120)
    curves = result["over_time"]
    for axes, field, label in (
        (both[0], "hits", "hits, share of requests"),
        (both[1], "wrong_per_request", "wrong answers, share of requests"),
    ):
        for name in (name for name in SHOWN if name in curves):
            rows = curves[name]
            axes.plot([row["requests"] for row in rows], [row[field] for row in rows], label=name)
        axes.set_xlabel("requests")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.25)
    both[0].legend(loc="upper left", fontsize=8)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def plot_pairs(result: Mapping[str, Any], path: Path, title: str) -> None:
    """Paraphrases served at each share of traps, by score, as a PNG file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.4), dpi=120)
    scores = [name for name, row in result.items() if isinstance(row, dict)]
    for at, name in enumerate(scores):
        shares = result[name]["hits_at_traps"]
        places = [group + at / (len(scores) + 1) for group in range(len(shares))]
        axes.bar(places, list(shares.values()), width=1 / (len(scores) + 1), label=name)
    axes.set_xticks(range(len(shares)), [f"{limit} of traps" for limit in shares])
    axes.set_ylabel("paraphrases served")
    axes.set_ylim(0, 1)
    axes.set_title(title)
    axes.grid(alpha=0.25, axis="y")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
