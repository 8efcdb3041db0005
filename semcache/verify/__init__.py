"""Judging a near-duplicate: is the cached answer right for this question?

tokens.py     how the token vectors of two questions meet
features.py   a candidate as a row of named numbers
head.py       a trained head: features to a probability; its weight file
verifier.py   PairVerifier: heads and rivals behind `interfaces.Verifier`
bounds.py     "the wrong rate is above a bound": tests and upper bounds
sample.py     labels as arrays; the p-value of every threshold of the fixed grid
certify.py    Terms and labels to a Certificate: the loosest threshold that keeps the bound
drift.py      an alarm that may be looked at after every label
ledger.py     labels that survive
audit.py      which lookups are checked, and whether two answers say the same
live.py       LiveCertificate: the certificate in force
"""
