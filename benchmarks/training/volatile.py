"""python -m benchmarks.training.volatile --data volatile.jsonl.gz: the probe for what changes.

Trains a logistic regression on the vectors of questions, and writes its weights and a report of the
part that was held out. The same seed and data give the same weights. Data:

- `--data`: JSON lines with `text` and `volatile`, plain or gzipped. The packaged weights were
  trained on half of SituatedQA's questions (Zhang and Choi, EMNLP 2021). Its repository names no
  licence of its own; it credits Natural Questions (CC BY-SA 3.0), WebQuestions (CC BY 4.0), TyDi QA
  (Apache-2.0) and MS MARCO (for research that is not commercial). No question of it is in this
  repository.
- `volatile_questions.tsv`, beside this script: written for this project, under its licence. The
  personal ones are for the rules, and the Chinese ones too: the encoder does not read them.

The strength of the penalty and the threshold are chosen by cross-validation inside the part that is
trained on; the held-out part is looked at once, for the report.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.encoder import auc, embed
from semcache.embedding import SentenceEncoder
from semcache.volatile import classify

OWN = Path(__file__).with_name("volatile_questions.tsv")
WEIGHTS = Path(__file__).resolve().parents[2] / "semcache" / "volatile" / "weights.json"
LICENCES = {
    "--data": "SituatedQA: no licence named; from Natural Questions (CC BY-SA 3.0), WebQuestions "
    "(CC BY 4.0), TyDi QA (Apache-2.0), MS MARCO (non-commercial research)",
    OWN.name: "ours, Apache-2.0",
}
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FOLDS = 10
FALSE_ALARMS = 0.1

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and whether its answer changes with time; `own`: of our own file."""

    text: str
    volatile: bool
    own: bool


def read_questions(data: Path) -> list[Question]:
    """All questions that the encoder reads, ours last. Raises KeyError for a foreign format."""
    raw = data.read_bytes()
    lines = (gzip.decompress(raw) if data.suffix == ".gz" else raw).decode("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    found = [Question(row["text"], bool(row["volatile"]), own=False) for row in rows]
    with OWN.open(encoding="utf-8", newline="") as file:
        own = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return found + [
        Question(row["question"], row["kind"] != "lasting", own=True)
        for row in own
        if row["kind"] != "personal" and row["question"].isascii()
    ]


def fit(rows: Floats, labels: Floats, penalty: float) -> Floats:
    """Newton's method for the logistic loss + penalty/2·|w|², the bias (last) free.

    `rows` has shape (n, dim); classes weigh the same. Returns (dim + 1,).
    """
    ones = np.ones((len(rows), 1))
    x = np.hstack([rows, ones])
    share = np.where(labels == 1, labels.mean(), 1 - labels.mean())
    each = 0.5 / share
    ridge = np.full(x.shape[1], penalty)
    ridge[-1] = 1e-6
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ weights)
        gradient = x.T @ (each * (p - labels)) + ridge * weights
        hessian = (x * (each * p * (1 - p))[:, None]).T @ x + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if float(np.abs(step).max()) < 1e-9:
            break
    return weights


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    result: Floats = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    return result


def out_of_fold(rows: Floats, labels: Floats, penalty: float, folds: NDArray[np.int64]) -> Floats:
    """The probability of each question from the folds that it is not in."""
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        held = folds == fold
        weights = fit(rows[~held], labels[~held], penalty)
        scores[held] = sigmoid(rows[held] @ weights[:-1] + weights[-1])
    return scores


def at_false_alarms(scores: Floats, labels: Floats, share: float) -> tuple[float, float]:
    """(threshold, recall) where at most `share` of the lasting questions are called volatile."""
    lasting = np.sort(scores[labels == 0])[::-1]
    allowed = int(share * len(lasting))
    threshold = float(np.nextafter(lasting[allowed], 1.0))
    return threshold, float((scores[labels == 1] >= threshold).mean())


def measured(scores: Floats, labels: Floats) -> dict[str, Any]:
    """What can be said of scores: AUC with its 95 % band (Hanley and McNeil 1982), recalls."""
    area = auc(
        scores[labels == 1].astype(np.float32),
        scores[labels == 0].astype(np.float32),
    )
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    spread = (positive - 1) * (q1 - area**2) + (negative - 1) * (q2 - area**2)
    error = float(np.sqrt((area * (1 - area) + spread) / (positive * negative)))
    return {
        "volatile": positive,
        "lasting": negative,
        "auc": round(area, 4),
        "auc_95": [round(area - 1.96 * error, 4), round(min(1.0, area + 1.96 * error), 4)],
        "recall_at_10_percent_false_alarms": round(at_false_alarms(scores, labels, 0.1)[1], 4),
        "recall_at_20_percent_false_alarms": round(at_false_alarms(scores, labels, 0.2)[1], 4),
    }


def decided(flagged: NDArray[np.bool_], labels: Floats) -> dict[str, float]:
    """Recall and false alarms of yes-or-no decisions."""
    return {
        "recall": round(float(flagged[labels == 1].mean()), 4),
        "false_alarms": round(float(flagged[labels == 0].mean()), 4),
    }


def train(questions: list[Question], rows: Floats, seed: int) -> tuple[dict[str, Any], Floats]:
    """The report, and (dim + 2,) numbers: weights, bias, threshold."""
    labels = np.array([question.volatile for question in questions], dtype=np.float64)
    own = np.array([question.own for question in questions])
    chance = np.random.default_rng(seed)
    held = chance.random(len(questions)) < 0.2
    x, y = rows[~held], labels[~held]
    folds = chance.integers(0, FOLDS, len(x))
    tried = {penalty: out_of_fold(x, y, penalty, folds) for penalty in PENALTIES}
    areas = {penalty: measured(scores, y)["auc"] for penalty, scores in tried.items()}
    best = max(PENALTIES, key=lambda penalty: areas[penalty])
    threshold, _ = at_false_alarms(tried[best], y, FALSE_ALARMS)
    weights = fit(x, y, best)
    scores = sigmoid(rows @ weights[:-1] + weights[-1])
    ruled = np.array([classify(q.text, whose=False).kind != "lasting" for q in questions])
    parts = {"data": held & ~own, "own": held & own}
    report: dict[str, Any] = {
        "seed": seed,
        "penalty": best,
        "threshold": round(threshold, 4),
        "trained_on": {"data": int((~held & ~own).sum()), "own": int((~held & own).sum())},
        "cross_validation_auc_by_penalty": areas,
        "cross_validation": measured(tried[best], y),
    }
    for name, part in parts.items():
        report[f"held_out_{name}"] = {
            **measured(scores[part], labels[part]),
            "probe_at_threshold": decided(scores[part] >= threshold, labels[part]),
            "rules_alone": decided(ruled[part], labels[part]),
            "rules_and_probe": decided(ruled[part] | (scores[part] >= threshold), labels[part]),
        }
    return report, np.append(weights, threshold)


def main() -> None:
    """Train, print the report, write the weights."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.volatile")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    for name, licence in LICENCES.items():
        print(f"{name}: {licence}")
    encoder, plain = SentenceEncoder.open(), SentenceEncoder.open(quantize=False)
    questions = read_questions(args.data)
    rows = embed(encoder, [question.text for question in questions], "int8").astype(np.float64)
    report, numbers = train(questions, rows, args.seed)
    written = {
        "encoders": [encoder.fingerprint, plain.fingerprint],
        "bias": round(float(numbers[-2]), 5),
        "threshold": round(float(numbers[-1]), 4),
        "report": report,
        "licences": LICENCES,
        "weights": [round(float(weight), 4) for weight in numbers[:-2]],
    }
    args.out.write_text(json.dumps(written) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
