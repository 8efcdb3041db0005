"""The adaptive score, against sklearn's optimum and by what it must and must not look at."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from semcache.verify import adaptive
from semcache.verify.adaptive import RIDGE, Scorer, fit, inputs, neighbourhood
from semcache.verify.relaxing import relaxed_guards
from tests.verify.neighbours import candidate


def rows(count: int, seed: int = 0) -> tuple[list[dict[str, float]], list[bool]]:
    """Candidates whose answer is the likelier right, the nearer they are and the more agree."""
    random = np.random.default_rng(seed)
    made, right = [], []
    for _ in range(count):
        cosine, share = random.uniform(0.6, 1.0), random.uniform(0.0, 1.0)
        made.append(
            {
                "cosine": cosine,
                "around_margin": random.uniform(-0.2, 0.3),
                "around_share": share,
                "probability": random.uniform(0.0, 1.0),
            }
        )
        right.append(bool(random.random() < 1 / (1 + np.exp(-(10 * (cosine - 0.8) + 3 * share)))))
    return made, right


def test_the_curve_is_the_one_that_makes_the_labels_likeliest() -> None:
    made, right = rows(400)
    found = fit(made, right)
    assert found is not None
    assert found.coefficients is not None
    design = np.array([inputs(row) for row in made])
    oracle = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-10, max_iter=5_000)
    oracle.fit(design, np.array(right))
    assert np.allclose(found.coefficients, oracle.coef_[0], atol=1e-3)
    chances = oracle.predict_proba(design)[:, 1]
    assert [found.score(row) for row in made] == pytest.approx(chances.tolist(), abs=1e-4)


def test_too_few_labels_of_a_kind_teach_nothing() -> None:
    made, _ = rows(100)
    assert fit(made, [True] * 95 + [False] * 5) is None
    assert fit([], []) is None


def test_without_a_fit_the_score_is_the_verifiers() -> None:
    assert Scorer().score({"probability": 0.7, "cosine": 0.1}) == 0.7


def test_what_is_vetoed_scores_nothing_whatever_was_learnt() -> None:
    made, right = rows(400)
    found = fit(made, right, frozenset({"numbers"}))
    assert found is not None
    best = {**made[0], "cosine": 1.0, "around_share": 1.0}
    assert found.score(best) > 0.5
    assert found.score({**best, "vetoed": 1.0}) == 0.0
    assert found.score({**best, "guard:negation": 1.0}) == 0.0
    assert found.score({**best, "guard:numbers": 1.0}) > 0.0


def test_the_neighbourhood_counts_answers_not_questions() -> None:
    near = candidate("How tall is it?", "330 m", 0.9)
    around = [near, candidate("Its height?", "330 m", 0.85), candidate("Its age?", "1889", 0.8)]
    behind, share = neighbourhood(near, around)
    assert behind == pytest.approx(0.1)
    assert share == pytest.approx(2 / 3)
    assert neighbourhood(near, []) == (0.0, 0.5)
    alone, all_ = neighbourhood(near, around[:2])
    assert alone == pytest.approx(0.05)
    assert all_ == 1.0


def test_only_the_nearest_voters_vote() -> None:
    near = candidate("a", "same", 0.9)
    others = [candidate(str(at), "same", 0.8) for at in range(adaptive.VOTERS - 1)]
    far = [candidate("far", "other", 0.7)] * 5
    assert neighbourhood(near, [near, *others, *far])[1] == 1.0


def test_a_guard_loses_its_veto_only_where_labels_show_that_it_errs() -> None:
    def refused(by: str, labels: int) -> list[dict[str, float]]:
        return [{f"guard:{by}": 1.0} for _ in range(labels)]

    made = [*refused("dates", 40), *refused("numbers", 40), *refused("names", 5)]
    wrong = [*[False] * 36, *[True] * 4, *[False] * 20, *[True] * 20, *[False] * 5]
    assert relaxed_guards(("dates", "numbers", "names"), made, wrong) == {"dates"}
    assert relaxed_guards((), made, wrong) == frozenset()
