"""python -m benchmarks.guards: for every guard, the traps it refuses and the paraphrases it loses.

No encoder and no store: each pair of questions goes through each guard by itself, then through
those that are on by default, and through all. `refused` is the share of traps (two questions that
must not share an answer) that a guard refuses, `lost` the share of true paraphrases. A guard is
worth its place as a rule where `refused` is well above `lost` and `lost` is about 1 % at most on
prose; elsewhere it is a feature of the verifier only.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.hit_rate.questions import OWN_DATA, Case, read_cases
from semcache.guards import DEFAULT_GUARDS, GUARDS, refusal

_SETS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in GUARDS},
    "the default": DEFAULT_GUARDS,
    "all": tuple(GUARDS),
}
_SEED = 1


def pairs(path: Path, sample: int | None) -> list[Case]:
    """The pairs of a file or folder, or as many of them, drawn with a fixed seed."""
    found = [case for case in read_cases(path) if case.stored is not None]
    if sample is None or len(found) <= sample:
        return found
    return random.Random(_SEED).sample(found, sample)


def shares(cases: Sequence[Case], names: tuple[str, ...]) -> dict[str, float]:
    """The shares of traps and of paraphrases that a set of guards refuses."""
    counts = {"trap": [0, 0], "paraphrase": [0, 0]}
    for case in cases:
        counts[case.kind][0] += 1
        counts[case.kind][1] += refusal(names, case.asked, case.stored or "") is not None
    (traps, refused), (paraphrases, lost) = counts["trap"], counts["paraphrase"]
    return {"refused": refused / max(1, traps), "lost": lost / max(1, paraphrases)}


def by_category(cases: Sequence[Case]) -> dict[str, dict[str, float]]:
    """The traps that the default guards refuse, by category."""
    categories = sorted({case.category for case in cases if case.kind == "trap"})
    found: dict[str, dict[str, float]] = {}
    for category in categories:
        traps = [case for case in cases if case.kind == "trap" and case.category == category]
        refused = shares(traps, DEFAULT_GUARDS)["refused"]
        found[category] = {"traps": len(traps), "refused": round(refused, 4)}
    return found


def measure(path: Path, sample: int | None) -> dict[str, Any]:
    """One data set."""
    cases = pairs(path, sample)
    rows = {
        name: {key: round(share, 4) for key, share in shares(cases, names).items()}
        for name, names in tqdm(_SETS.items(), desc=path.name, disable=None, unit="guard")
    }
    return {
        "data": "own" if path.resolve() == OWN_DATA else path.name,
        "traps": sum(case.kind == "trap" for case in cases),
        "paraphrases": sum(case.kind == "paraphrase" for case in cases),
        "guards": rows,
        "by_category": by_category(cases),
    }


def show(results: Sequence[dict[str, Any]]) -> None:
    """The table for people: refused / lost, in percent, for each data set."""
    heads = [f"{result['data'][:18]:>20}" for result in results]
    sizes = [f"{result['traps']:>11d} / {result['paraphrases']:<6d}" for result in results]
    print(f"\n{'traps refused / lost, %':24}" + "".join(heads))
    print(f"{'of':24}" + "".join(sizes))
    for name in _SETS:
        mark = "on" if name in DEFAULT_GUARDS else "  "
        row = (result["guards"][name] for result in results)
        cells = (f"{100 * cell['refused']:>11.1f} / {100 * cell['lost']:<6.2f}" for cell in row)
        print(f"{name:21}{mark} " + "".join(cells))
    for result in results:
        shown = (f"{name} {n['refused']:.0%}" for name, n in result["by_category"].items())
        print(f"\n{result['data']}, refused by the default: {', '.join(shown)}")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guards", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="*", default=[OWN_DATA], help="files or folders")
    parser.add_argument("--sample", type=int, help="so many pairs of each, drawn at random")
    parser.add_argument("--out", type=Path, help="folder for the result (JSON)")
    args = parser.parse_args(argv)
    results = [measure(path, args.sample) for path in args.data]
    show(results)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "guards.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
