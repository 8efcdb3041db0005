"""The curve of a calibration as a picture. matplotlib is in the extra `bench`."""

from __future__ import annotations

from pathlib import Path

from semcache.calibrate.choosing import Calibration
from semcache.errors import ConfigError


def plot(found: Calibration, path: Path) -> None:
    """Hits, wrong rate and its bound by threshold, as a PNG file. Raises ConfigError."""
    try:
        import matplotlib as mpl
    except ImportError:
        message = "A plot needs matplotlib: pip install 'semcache-proxy[bench]'."
        raise ConfigError(message) from None
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.4), dpi=120)
    at = [row.hit_rate for row in found.curve]
    axes.plot(at, [row.wrong_rate for row in found.curve], label=f"wrong per {found.terms.per}")
    axes.plot(at, [row.upper_bound for row in found.curve], label="upper bound", linestyle="--")
    axes.axhline(found.terms.max_wrong_rate, color="grey", linewidth=1, label="asked for")
    if found.threshold is not None:
        share = found.certificate.labels / max(1, found.certified_on)
        if found.terms.per == "hit":
            axes.axvline(share, color="green", linewidth=1, label=f"from {found.threshold:g}")
    axes.set_xlabel(f"served, share of {found.certified_on} labels (score: {found.score})")
    axes.set_ylabel("wrong")
    axes.set_xlim(left=0)
    axes.set_ylim(0, max(4 * found.terms.max_wrong_rate, 0.02))
    axes.grid(alpha=0.25)
    axes.legend()
    figure.tight_layout()
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}.") from None
    finally:
        pyplot.close(figure)
