"""Stop strings: never emitted, and found wherever the tokens' borders lie.

The first one to be complete ends the text; of two that end together, the longer.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Passes text on, holding back what may be the beginning of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """(text that may be told, whether a stop string was met)."""
        text = self._held + text
        met = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if met:
            self._held = ""
            return text[: min(met)[1]], True
        kept = self._partial(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept], False

    def flush(self) -> str:
        """What was held back, when the answer ends otherwise."""
        held, self._held = self._held, ""
        return held

    def _partial(self, text: str) -> int:
        """How much of the text's end is the beginning of a stop string; the longest counts."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:size]):
                    longest = size
                    break
        return longest
