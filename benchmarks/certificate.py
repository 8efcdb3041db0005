"""python -m benchmarks.certificate: how often certified thresholds miss their bound.

Synthetic streams, so that the true wrong rate is known and not estimated: each request has a score
and a probability of being wrong. No model and no data set.

- `one certificate`: labels are drawn once, a threshold is certified, its true rate is computed.
  Exactly what the theory promises: more than delta in at most alpha of the runs.
- `stream`: the live certificate from an empty start, with audits of a few lookups, drift alarm and
  renewal. Violated where the mean of the true probabilities over all served hits (or over all
  requests) is above delta. `shuffled`: the same world throughout. `growing`: wrong answers triple
  over the stream, as when a cache fills. `broken`: they rise fivefold at half time.

A run that never serves counts as kept: read `violated` beside `certified`. `Renewal.rise` and the
look at the newest labels were chosen on these worlds with some of these seeds, so the streams'
figures are no test on unseen traffic; `one certificate` had nothing to choose.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from semcache.verify.audit import Plan
from semcache.verify.certify import Label, Per, Terms, certify
from semcache.verify.ledger import Record
from semcache.verify.live import LiveCertificate, Renewal
from semcache.verify.sample import GRID

Floats = NDArray[np.float64]

WORLDS = ("shuffled", "growing", "broken")
PLANS = {"even": Plan(0.1, 0.1), "margin": Plan(0.05, 0.2)}
ALPHA = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """Scores and the true probability that each is wrong, (n,) each."""

    scores: Floats
    chances: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: the true rate, whether any threshold stood, hits against the best threshold's."""

    rate: float
    certified: bool
    kept: float
    first: int | None = None


def world(random: np.random.Generator, count: int, kind: str = "shuffled") -> World:
    """Requests in time order: half are good candidates, half are anything."""
    good = random.random(count) < 0.5
    scores = np.where(good, random.beta(20, 0.6, count), random.beta(2, 3, count))
    age = np.arange(count) / count
    factor = {"shuffled": np.ones(count), "growing": 1 + 2 * age, "broken": 1 + 4.0 * (age > 0.5)}
    return World(scores, np.minimum(1.0, 0.5 * (1 - scores) ** 1.1 * factor[kind]))


def best_hits(at: World, delta: float, per: Per) -> int:
    """Hits of the loosest single threshold that keeps the bound in truth, known in hindsight."""
    order = np.argsort(-at.scores)
    wrong = np.cumsum(at.chances[order])
    trials = np.arange(1, len(wrong) + 1) if per == "hit" else np.full(len(wrong), len(wrong))
    kept = np.flatnonzero(wrong <= delta * trials)
    return int(kept[-1]) + 1 if len(kept) else 0


@cache
def _truth() -> World:
    return world(np.random.default_rng(10_000), 400_000)


def one_certificate(seed: int, terms: Terms, plan: Plan, labels: int) -> Outcome:
    """Certify once on audited lookups, and look at the truth on another large sample."""
    random = np.random.default_rng(seed)
    drawn = world(random, labels * 20)
    taken: list[Label] = []
    for score, chance in zip(drawn.scores, drawn.chances, strict=True):
        weight = plan.weight(float(score), random.random())
        if weight is not None:
            wrong = bool(random.random() < chance)
            taken.append(Label(float(score), wrong, weight, at=float(len(taken))))
        if len(taken) == labels:
            break
    threshold = certify(taken, terms, 0.0).threshold
    truth = _truth()
    best = best_hits(truth, terms.max_wrong_rate, terms.per)
    if threshold is None:
        return Outcome(0.0, False, 0.0)
    served = truth.scores >= threshold
    over = served.sum() if terms.per == "hit" else len(served)
    rate = float(truth.chances[served].sum() / over)
    return Outcome(rate, True, float(served.sum() / best))


def stream(seed: int, terms: Terms, plan: Plan, kind: str, count: int) -> Outcome:
    """The live certificate over a stream of requests, one a second."""
    random = np.random.default_rng(seed)
    at = world(random, count, kind)
    now = [0.0]
    live = LiveCertificate(
        terms,
        clock=lambda: now[0],
        random=random.random,
        plan=plan,
        renewal=Renewal(window=4_000, every_s=count / 8),
    )
    served, risk, labels, first = 0, 0.0, 0, None
    for second, (score, chance) in enumerate(
        zip(at.scores.tolist(), at.chances.tolist(), strict=True)
    ):
        now[0] = float(second)
        threshold = live.threshold()
        hit = threshold is not None and score >= threshold
        served += hit
        risk += chance if hit else 0.0
        weight = live.audit(score)
        if weight is None:
            continue
        labels += 1
        label = Label(score, bool(random.random() < chance), weight, float(second), "", hit)
        live.add(Record(label))
        if first is None and live.threshold() is not None:
            first = labels
    over = served if terms.per == "hit" else count
    rate = risk / over if over else 0.0
    best = best_hits(at, terms.max_wrong_rate, terms.per)
    return Outcome(rate, first is not None, served / max(1, best), first)


def row(name: str, terms: Terms, outcomes: list[Outcome]) -> dict[str, Any]:
    """A line of the table; `allowed` is alpha and two standard errors."""
    runs = len(outcomes)
    violated = sum(outcome.rate > terms.max_wrong_rate for outcome in outcomes)
    firsts = [outcome.first for outcome in outcomes if outcome.first is not None]
    alpha = terms.alpha
    return {
        "run": name,
        "per": terms.per,
        "delta": terms.max_wrong_rate,
        "runs": runs,
        "violated": round(violated / runs, 4),
        "allowed": round(alpha + 2 * math.sqrt(alpha * (1 - alpha) / runs), 4),
        "certified": round(sum(outcome.certified for outcome in outcomes) / runs, 4),
        "mean_rate": round(float(np.mean([outcome.rate for outcome in outcomes])), 5),
        "hits_of_oracle": round(float(np.mean([outcome.kept for outcome in outcomes])), 4),
        "labels_to_first": float(np.median(firsts)) if firsts else None,
        "rates": [round(outcome.rate, 6) for outcome in outcomes],
    }


def measured(
    seeds: int, count: int, labels: int, plans: Sequence[str] = tuple(PLANS), show: bool = True
) -> Iterator[dict[str, Any]]:
    """All lines of the table."""
    for per in ("hit", "request"):
        for delta in (0.01, 0.02):
            terms = Terms(delta, 1 - ALPHA, per)
            for audits in plans:
                plan = PLANS[audits]
                runs: Iterable[int] = tqdm(
                    range(seeds), desc=f"{per} {delta} {audits}", disable=not show
                )
                yield row(
                    f"one certificate, {audits}",
                    terms,
                    [one_certificate(seed, terms, plan, labels) for seed in runs],
                )
                for kind in WORLDS:
                    runs = tqdm(
                        range(seeds), desc=f"{per} {delta} {audits} {kind}", disable=not show
                    )
                    yield row(
                        f"stream {kind}, {audits}",
                        terms,
                        [stream(seed, terms, plan, kind, count) for seed in runs],
                    )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """True rate over bound of every run, a column of points for each line of the table."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 5))
    for at, line in enumerate(rows):
        shares = np.array(line["rates"]) / line["delta"]
        axes.plot(at + np.linspace(-0.3, 0.3, len(shares)), shares, ".", ms=2)
    axes.axhline(1.0, color="black", lw=1)
    names = [f"{line['run']}\n{line['per']} {line['delta']:g}" for line in rows]
    axes.set_xticks(range(len(rows)), names, rotation=90, fontsize=6)
    axes.set_ylabel("true wrong rate / bound")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Print the table, then one line of JSON; write both and a plot where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certificate")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--requests", type=int, default=10_000, help="length of a stream")
    parser.add_argument("--labels", type=int, default=2_000, help="labels of one certificate")
    parser.add_argument("--audits", choices=list(PLANS), nargs="+", default=list(PLANS))
    parser.add_argument("--out", type=Path, help="folder for certificate.json and .png")
    asked = parser.parse_args()
    rows = []
    keys = (
        "run per delta violated allowed certified mean_rate hits_of_oracle labels_to_first".split()
    )
    print(" | ".join(keys))
    for line in measured(asked.seeds, asked.requests, asked.labels, asked.audits):
        rows.append(line)
        print(" | ".join(str(line[key]) for key in keys), flush=True)
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "certificate.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")
        plot(rows, asked.out / "certificate.png")
    short = [{key: value for key, value in line.items() if key != "rates"} for line in rows]
    print(json.dumps({"benchmark": "certificate", "grid": len(GRID), "rows": short}))


if __name__ == "__main__":
    main()
