"""What two texts say, compared word by word: facts, and how they differ. Pure Python, no model."""

from semcache.lexical.comparison import DIFFERENCES, differences
from semcache.lexical.extraction import Facts, facts

__all__ = ["DIFFERENCES", "Facts", "differences", "facts"]
