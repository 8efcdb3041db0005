"""Judging a near-duplicate: is the cached answer right for this question?

tokens.py     how the token vectors of two questions meet
features.py   a candidate as a row of named numbers
head.py       a trained head: features to a probability; its weight file
verifier.py   PairVerifier: heads and rivals behind `interfaces.Verifier`
"""
