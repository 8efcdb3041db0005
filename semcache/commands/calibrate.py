"""`semcache calibrate FILE`: the curve, a threshold and its certificate, from labelled pairs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from semcache.calibrate.choosing import Calibration, calibrate, configuration
from semcache.calibrate.plot import plot
from semcache.calibrate.records import Record, read_records
from semcache.calibrate.scoring import Scores, logged, score_all
from semcache.config import Config
from semcache.errors import ConfigError
from semcache.installation import open_embedder
from semcache.interfaces import Embedder, Verifier
from semcache.verify.certify import Terms


def add(commands: Any) -> argparse.ArgumentParser:
    """The command's options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "calibrate", help="a certified threshold from labelled pairs or a log"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON lines, JSON or TSV")
    parser.add_argument(
        "--max-wrong", type=float, required=True, metavar="RATE", help="0.01: one in a hundred"
    )
    parser.add_argument("--per", choices=("hit", "request"), default="hit", help="(hit)")
    parser.add_argument("--confidence", type=float, default=0.9, help="(0.9)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write the curve as a picture")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def run(args: argparse.Namespace, config: Config) -> int:
    """Exit code 0 with a certified threshold, 1 without one. Raises ConfigError."""
    terms = Terms(args.max_wrong, args.confidence, args.per)
    records = read_records(args.file)
    found = calibrate(records, _scores(records, config), terms)
    if args.plot is not None:
        plot(found, args.plot)
    print(json.dumps(as_json(found)) if args.json else as_text(found))
    return 0 if found.threshold is not None else 1


def _scores(records: list[Record], config: Config) -> Scores:
    if records[0].score is not None:
        return logged(records)
    embedder = open_embedder(config, sketches=True)
    if embedder is None:
        message = "With 'evaluation: exact' nothing is matched by meaning: nothing to calibrate."
        raise ConfigError(message)
    try:
        verifier = _verifier(embedder)
        return score_all(records, config.policy_settings(), embedder, verifier, _progress)
    finally:
        embedder.close()


def _verifier(embedder: Embedder) -> Verifier | None:
    """The packaged one, whether it is switched on or not: calibrating says whether it should be."""
    from semcache.verify.verifier import PairVerifier

    verifier = PairVerifier.open()
    return verifier if embedder.fingerprint in verifier.encoders else None


def _progress(done: int) -> None:
    if done % 3200 == 0:
        sys.stderr.write(f"{done} texts read\n")
        sys.stderr.flush()


def as_json(found: Calibration) -> dict[str, Any]:
    """Everything, for JSON."""
    certificate = found.certificate
    return {
        "score": found.score,
        "served_on_choosing_half": {n: round(share, 4) for n, share in found.tried.items()},
        "labels": {"choosing": found.chosen_on, "certifying": found.certified_on},
        "halves": "by time" if found.by_time else "by lot",
        "threshold": found.threshold,
        "certificate": {
            "state": certificate.state,
            "delta": certificate.delta,
            "alpha": certificate.alpha,
            "per": certificate.per,
            "labels": certificate.labels,
            "wrong": certificate.wrong,
            "upper_bound": round(certificate.upper_bound, 6),
            "needed": certificate.needed,
        },
        "curve": [dataclasses.asdict(row) for row in found.curve],
        "configuration": configuration(found),
    }


def as_text(found: Calibration) -> str:
    """For people."""
    per = found.terms.per
    how = "older and newer half by time" if found.by_time else "two halves by lot: no times given"
    shares = ", ".join(f"{name} {share:.1%}" for name, share in found.tried.items())
    lines = [
        f"{found.chosen_on + found.certified_on} labels: {how}",
        f"{found.chosen_on} labels choose the score; served at the asked rate: {shares}",
        f"{found.certified_on} labels certify; score: {found.score}",
        "",
        f"{'threshold':>10}{'hits':>8}{'wrong':>7}{'hit rate':>10}{'wrong/' + per:>15}"
        f"{'upper bound':>13}",
    ]
    lines.extend(
        f"{row.threshold:10.4f}{row.hits:8d}{row.wrong:7d}{row.hit_rate:10.1%}"
        f"{row.wrong_rate:15.2%}{row.upper_bound:13.2%}"
        for row in found.curve
    )
    return "\n".join([*lines, "", *_conclusion(found)])


def _conclusion(found: Calibration) -> list[str]:
    per, certificate = found.terms.per, found.certificate
    terms = f"wrong per {per} at most {certificate.delta:g}, confidence {1 - certificate.alpha:g}"
    wanted = configuration(found)
    if wanted is None:
        return [
            f"not certified: {terms}",
            f"at least {certificate.needed} more labels are missing, all of them right, in the "
            "certifying half; until then, exact hits only",
        ]
    said = yaml.safe_dump(wanted, sort_keys=False)
    return [
        f"certified: {terms}; {certificate.labels} labels at the threshold, "
        f"{certificate.wrong} wrong, bound {certificate.upper_bound:.2%} "
        f"(delta={certificate.delta:g}, alpha={certificate.alpha:g})",
        "in cache_config.yaml:",
        *(f"  {line}" for line in said.splitlines()),
    ]
