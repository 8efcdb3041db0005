"""Two questions in one sentence, said so that a small model answers both.

"Which patient had trouble, what was the problem?": a model of 135M parameters answers the first
half and stops, whatever its instruction says. The same model follows an order at the end. So where
a later half asks for a cause, the order is added. Measured: `benchmarks/cag/answers.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from semcache.cag.prompting.conversation import Conversation, Turn

ORDER = "Explain the cause."

_MOST_CHARACTERS = 240
_HALVES = re.compile(
    r"[,;?&]|\band\b(?=\s+(?:for |in |by |with )?(?:who|what|which|when|where|how|why)\b)", re.I
)
_ASKS = re.compile(r"\b(?:who|whom|whose|what|which|when|where|how|why)\b", re.I)
_CAUSE = re.compile(
    r"\b(?:problem|causes?|caused|reason|why|wrong|faults?|happened|fail\w*)\b", re.I
)


def spelt_out(conversation: Conversation) -> Conversation:
    """The conversation with the order after its last question, where it is of that kind."""
    *earlier, last = conversation.turns
    if last.role != "user" or not _asks_for_a_cause_too(last.text):
        return conversation
    asked = Turn("user", f"{last.text.rstrip()} {ORDER}")
    return replace(conversation, turns=(*earlier, asked))


def _asks_for_a_cause_too(text: str) -> bool:
    if len(text) > _MOST_CHARACTERS or "\n" in text.strip():
        return False
    halves = [half for half in _HALVES.split(text) if _ASKS.search(half)]
    return len(halves) > 1 and any(_CAUSE.search(half) for half in halves[1:])
