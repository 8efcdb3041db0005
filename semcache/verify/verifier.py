"""PairVerifier: the probability that a cached answer is right, from two heads and what rivals say.

Three steps, each cheaper to refuse than the next:

1. What the encoder cannot read (unknown tokens, Chinese in an English vocabulary), what another
   encoder made, and what is too long to be judged without a sketch is refused with a score of 0.
2. Where cosine and token vectors alone leave no chance, the texts are not compared.
3. The head with all features judges, together with the alignment where that could make a candidate
   served; where it could not, the head speaks for both. Without sketches the head without token
   features judges, which asks for more, and whose probabilities are shifted so that one threshold
   serves both.

Of candidates with different answers at most one is right, so a near rival takes from a
probability what is its own: odds_i / (1 + odds_i + sum_j (1 - s_ij) odds_j), where s_ij is the
probability that the two stored questions share an answer after all (0, the worst case, where that
decides nothing).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from semcache.errors import ConfigError
from semcache.interfaces import Asked, Candidate, Verdict
from semcache.sketch import Sketch
from semcache.verify.alignment import Alignment
from semcache.verify.features import (
    ALIGNMENT,
    FEATURES,
    SIMILARITY_FEATURES,
    WEIGHTS,
    Features,
    margins,
    of_alignment,
    of_similarity,
    of_texts,
    of_tokens,
    read_tokens,
)
from semcache.verify.head import Head, chances
from semcache.verify.tokens import TOKEN_FEATURES, Tokens

FULL, BLIND, FIRST = "full.json", "blind.json", "first.json"

SERVED, UNLIKELY = "likely_right", "unlikely"
HOPELESS, UNREADABLE = "another_question", "unreadable"
FOREIGN, TOO_LONG, RIVAL = "foreign_encoder", "too_long_to_judge", "rival_answer"

UNKNOWN_TOKEN = 100  # [UNK] in BERT's vocabularies
MAX_UNKNOWN_SHARE = 0.2
MAX_BLIND_CHARS = 240
_RIVAL_AT, _RIVAL_MATTERS = 0.25, 0.02
MOST_ALIGNED = np.float32(3.5)  # log odds; beyond, the alignment is not believed
_ASK_AT = 0.5  # what it cannot lift to this score is not worth its milliseconds
_FAR_APART = 0.5  # cosine; one in a thousand of what was served lay below
_FIRST_TOKEN, _ALIGNED = 1 + len(SIMILARITY_FEATURES), FEATURES.index("alignment")
_WITHOUT_TOKENS = frozenset(range(len(FEATURES))) - {
    FEATURES.index(name) for name in (*TOKEN_FEATURES, "alignment")
}


class PairVerifier:
    """Implements `interfaces.Verifier`. Immutable, so safe to call from several threads."""

    def __init__(
        self,
        full: Head,
        blind: Head,
        first: Head,
        alignment: Alignment,
        threshold: float | None = None,
    ) -> None:
        """`threshold`: serve at this score or above, 0..1; None for the one of the weights.

        Raises ConfigError where a head asks for features that are not there.
        """
        self._full, self._blind, self._first = full, blind, first
        self._alignment = alignment
        self.threshold = full.threshold if threshold is None else threshold
        if not 0 < self.threshold <= 1:
            raise ConfigError(f"A verifier's threshold lies in 0..1, not at {threshold}.")
        self._full_at, self._blind_at, self._first_at = map(_places, (full, blind, first))
        late = max(self._first_at) >= _ALIGNED or _ALIGNED in self._full_at
        if late or not set(self._blind_at) <= _WITHOUT_TOKENS:
            raise ConfigError("The verifier's heads ask for features that come too late for them.")

    @classmethod
    def open(cls, weights: Path = WEIGHTS, threshold: float | None = None) -> Self:
        """Load the weights in a folder. Raises ConfigError where they are not whole."""
        full, blind, first = (Head.load(weights / name) for name in (FULL, BLIND, FIRST))
        return cls(full, blind, first, Alignment.load(weights / ALIGNMENT), threshold)

    @property
    def encoders(self) -> frozenset[str]:
        """Fingerprints of the encoders whose vectors it can judge."""
        return self._full.encoders

    def judge(
        self, asked: Asked, candidates: Sequence[Candidate], around: Sequence[Candidate] = ()
    ) -> Sequence[Verdict]:
        """One verdict for each candidate, in order; see the module for how."""
        ours = read_tokens(asked.sketch)
        unreadable = _unknown(asked.sketch, asked.question)
        refused = [self._refusal(asked, one, unreadable) for one in candidates]
        tokens = [
            None if reason else read_tokens(one.sketch)
            for one, reason in zip(candidates, refused, strict=True)
        ]
        rows = np.full((len(candidates), len(FEATURES)), np.nan, dtype=np.float32)
        rows[:, 0] = margins(candidates)
        for at, one in enumerate(candidates):
            rows[at, 1:_FIRST_TOKEN] = of_similarity(one.similarity)
            if refused[at] is None:
                rows[at, _FIRST_TOKEN:_ALIGNED] = of_tokens(ours, tokens[at])
        self._refuse_hopeless(rows, refused)
        for at, one in enumerate(candidates):
            if refused[at] is None:
                rows[at, _ALIGNED + 1 :] = of_texts(asked.question, one.question)
        alone = self._scores(rows, refused, ours, tokens)
        scores = self._divided(candidates, tokens, alone)
        return [
            self._verdict(score, before, reason, row)
            for score, before, reason, row in zip(scores, alone, refused, rows, strict=True)
        ]

    def _refusal(self, asked: Asked, candidate: Candidate, unreadable: bool) -> str | None:
        """Why a candidate is not to be judged at all; `unreadable`: the question in hand is."""
        made_by = candidate.entry.embedder
        if made_by is not None and made_by not in self._full.encoders:
            return FOREIGN
        if unreadable or _unknown(candidate.sketch, candidate.question):
            return UNREADABLE
        if candidate.similarity < _FAR_APART:
            return HOPELESS
        blind = asked.sketch is None or candidate.sketch is None
        longest = max(len(asked.question), len(candidate.question))
        return TOO_LONG if blind and longest > MAX_BLIND_CHARS else None

    def _refuse_hopeless(self, rows: Features, refused: list[str | None]) -> None:
        """Spare the candidates without a chance the comparison of the texts."""
        chances = self._first.probability(rows[:, self._first_at])
        read = np.isfinite(rows[:, _ALIGNED - 1])
        for at in np.flatnonzero(read & (chances < self._first.threshold)).tolist():
            refused[at] = refused[at] or HOPELESS

    def _scores(
        self,
        rows: Features,
        refused: list[str | None],
        ours: Tokens | None,
        tokens: Sequence[Tokens | None],
    ) -> list[float]:
        """Probabilities before rivals; 0 for what was refused. Fills in the alignment."""
        scores = np.zeros(len(rows), dtype=np.float32)
        open_ = np.array([reason is None for reason in refused], dtype=bool)
        read = np.isfinite(rows[:, _ALIGNED - 1])
        whole, bare = np.flatnonzero(open_ & read), np.flatnonzero(open_ & ~read)
        if len(whole):
            scores[whole] = self._whole(rows, whole, ours, tokens)
        if len(bare):
            scores[bare] = self._blind.probability(rows[bare][:, self._blind_at])
        found: list[float] = scores.tolist()
        return found

    def _whole(
        self,
        rows: Features,
        which: NDArray[np.intp],
        ours: Tokens | None,
        tokens: Sequence[Tokens | None],
    ) -> Features:
        """Probabilities of these rows, the alignment asked where it could make them served."""
        log_odds = self._full.log_odds(rows[which][:, self._full_at])
        share = np.float32(self._full.outside)
        found = chances(log_odds / (1 - share))
        open_ = chances(log_odds + share * MOST_ALIGNED) >= min(_ASK_AT, self.threshold)
        if share and open_.any():
            asked = which[open_].tolist()
            aligned = of_alignment(
                self._alignment, ours, [tokens[at] for at in asked], rows[asked, 1].tolist()
            )
            rows[asked, _ALIGNED] = aligned
            held = np.minimum(rows[asked, _ALIGNED], MOST_ALIGNED)
            found[open_] = chances(log_odds[open_] + share * held)
        return found

    def _divided(
        self, candidates: Sequence[Candidate], tokens: Sequence[Tokens | None], alone: list[float]
    ) -> list[float]:
        """The scores, less what near rivals with other answers claim."""
        odds = [score / max(1e-6, 1 - score) for score in alone]
        scores = list(alone)
        for at, score in enumerate(alone):
            rivals = [
                other
                for other, value in enumerate(odds)
                if other != at and alone[other] >= _RIVAL_AT and value >= _RIVAL_MATTERS * odds[at]
            ]
            if score < _RIVAL_AT or not rivals:
                continue
            worst = odds[at] / (1 + odds[at] + sum(odds[other] for other in rivals))
            if score < self.threshold or worst >= self.threshold:
                scores[at] = worst  # the decision stands; asking how alike they are is dear
                continue
            alike = self._alike(candidates, tokens, at, rivals)
            claimed = sum(odds[other] * (1 - one) for other, one in zip(rivals, alike, strict=True))
            scores[at] = odds[at] / (1 + odds[at] + claimed)
        return scores

    def _alike(
        self,
        candidates: Sequence[Candidate],
        tokens: Sequence[Tokens | None],
        at: int,
        rivals: Sequence[int],
    ) -> list[float]:
        """Probabilities that a stored question has one answer with each of its rivals.

        0 where that cannot be known.
        """
        ours, others = tokens[at], [tokens[other] for other in rivals]
        rows = np.full((len(rivals), len(FEATURES)), np.nan, dtype=np.float32)
        for row, other, theirs in zip(rows, rivals, others, strict=True):
            if ours is not None and theirs is not None:
                row[:_FIRST_TOKEN] = (0.0, *of_similarity(_cosine(ours, theirs)))
                row[_FIRST_TOKEN:_ALIGNED] = of_tokens(ours, theirs)
                row[_ALIGNED + 1 :] = of_texts(candidates[at].question, candidates[other].question)
        log_odds = self._full.log_odds(rows[:, self._full_at])
        found: list[float] = chances(log_odds / np.float32(1 - self._full.outside)).tolist()
        return found

    def _verdict(self, score: float, alone: float, reason: str | None, row: Features) -> Verdict:
        serve = reason is None and score >= self.threshold
        if reason is None:
            reason = SERVED if serve else RIVAL if alone >= self.threshold else UNLIKELY
        named = zip(FEATURES, row.tolist(), strict=True)
        return Verdict(
            serve, score, reason, {name: value for name, value in named if value == value}
        )


def _cosine(ours: Tokens, theirs: Tokens) -> float:
    """Candidates carry no vectors; the mean of the token vectors is close to the encoder's."""
    one, other = ours.vectors.mean(axis=0), theirs.vectors.mean(axis=0)
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / max(norm, 1e-6)


def _places(head: Head) -> list[int]:
    unknown = [name for name in head.inputs if name not in FEATURES]
    if unknown:
        raise ConfigError(
            f"The verifier's weights ask for features that this version does not have: "
            f"{', '.join(unknown[:5])}. Train them again with benchmarks.training."
        )
    return [FEATURES.index(name) for name in head.inputs]


def _unknown(sketch: Sketch | None, text: str) -> bool:
    """Whether the encoder's vocabulary lacks too much of the text."""
    if sketch is None:
        wide = sum(letter >= "\u2e80" for letter in text)
        return wide > MAX_UNKNOWN_SHARE * len(text)
    count = int(np.count_nonzero(sketch.ids == UNKNOWN_TOKEN))
    return count > MAX_UNKNOWN_SHARE * max(1, len(sketch.ids))
