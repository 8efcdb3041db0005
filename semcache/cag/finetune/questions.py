"""Questions made of the documents themselves: gaps in sentences, counts, and what a text says.

Nobody labels anything: over these texts the model learns to have, with blocks, the distributions
that it has with full attention. They only have to need the document.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from semcache.cag.finetune.pairs import Pair, Passage

_GAP = "____"
_SENTENCE = re.compile(r"[^\s.!?。！？][^.!?。！？\n]*(?:[.!?](?=\d)[^.!?。！？\n]*)*[.!?。！？]")
_NUMBER = re.compile(r"(?<![A-Za-z0-9.,-])\d(?:[\d.,:]*\d)?(?![A-Za-z0-9])")
_NAME = re.compile(r"(?<=[^\s.] )[A-Z]\w+(?: [A-Z]\w+)*")
_CLAUSE = re.compile(r"(?<=，)[^，。！？]{4,30}(?=[，。！？])")
_COUNTED = re.compile(r"(?<![\w.,-])(\d[\d.,]*) ([a-z]{3,})\b")
_WORDS = (4, 40)
_TITLE_WORDS = 12

_GAP_QUESTIONS = (
    "Which words are missing in this sentence of the documents? {}",
    "Fill in the gap: {}",
    "Complete this sentence from the documents: {}",
)
_COUNT_QUESTIONS = (
    "How many {} are named in “{}”?",
    "“{1}”: how many {0}?",
)
_SAYING_QUESTIONS = (
    "What does “{}” say about {}?",
    "What can be read in “{}” about {}?",
)


def questions_of(passages: Sequence[Passage], each: int, seed: int) -> list[Pair]:
    """At most `each` unlabelled pairs for every passage; the seed decides which."""
    rng = random.Random(seed)  # noqa: S311 - which questions are asked is no secret
    found = []
    for number, passage in enumerate(passages):
        candidates = list(_candidates(passage.text, rng))
        rng.shuffle(candidates)
        found += [Pair(q, answer, number, labelled=False) for q, answer in candidates[:each]]
    return found


def _candidates(text: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    title, body = _title(text)
    for met in _SENTENCE.finditer(body):
        sentence = " ".join(met[0].split())
        gaps = [*_NUMBER.finditer(sentence), *_NAME.finditer(sentence), *_CLAUSE.finditer(sentence)]
        words = len(sentence.split())
        if not gaps or not (_WORDS[0] <= words <= _WORDS[1] or _CLAUSE.search(sentence)):
            continue
        gap = rng.choice(gaps)
        blanked = sentence[: gap.start()] + _GAP + sentence[gap.end() :]
        yield rng.choice(_GAP_QUESTIONS).format(blanked), gap[0]
        yield rng.choice(_SAYING_QUESTIONS).format(title, f"“{gap[0]}”"), sentence
        counted = _COUNTED.search(sentence)
        if counted is not None:
            asked = rng.choice(_COUNT_QUESTIONS).format(counted[2], title)
            yield asked, f"{counted[1]} {counted[2]}"


def _title(text: str) -> tuple[str, str]:
    """What the passage can be called, and where its sentences are."""
    first, _, rest = text.strip().partition("\n")
    words = first.lstrip("# ").split()
    if rest.strip() and len(words) <= _TITLE_WORDS:
        return " ".join(words), rest
    return " ".join(words[:_TITLE_WORDS]), text
