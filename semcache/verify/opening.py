"""A CertifiedJudge from what an operator says: terms, a ledger file, how much is checked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from semcache.errors import ConfigError
from semcache.judging import Verifier
from semcache.verify.audit import Judge, Plan
from semcache.verify.certified import CertifiedJudge, Guarding
from semcache.verify.certify import Label, Terms
from semcache.verify.ledger import Ledger
from semcache.verify.lessons import WINDOW
from semcache.verify.live import LiveCertificate, Renewal
from semcache.verify.packaged import packaged_labels

_LOG = logging.getLogger("semcache.verify")

RISE = 1.25
"""Less than `Renewal`'s own: the score is fitted anew as the cache fills."""


def open_judge(
    verifier: Verifier,
    terms: Terms,
    ledger: Path,
    *,
    audit_share: float,
    packaged: bool,
    guarding: Guarding,
    comparing: Judge | None = None,
    clock: Callable[[], float] = time.time,
    random: Callable[[], float] | None = None,
) -> CertifiedJudge:
    """A judge with its certificate on the labels of a ledger file. Raises StoreError, ConfigError.

    `packaged`: with the labels of the package, until there are own ones; without, and it is logged,
    where they are not for these weights.
    """
    opened = Ledger(ledger)
    draw = random or Random().random  # noqa: S311 - which lookups are checked is no secret
    live = LiveCertificate(
        terms,
        clock=clock,
        random=draw,
        ledger=opened,
        plan=Plan(1.0, 1.0),
        renewal=Renewal(window=WINDOW, growth=0.1, rise=RISE),
        packaged=_of_the_package() if packaged else (),
    )
    return CertifiedJudge(
        verifier,
        terms,
        live,
        clock=clock,
        random=draw,
        audit_share=audit_share,
        ledger=opened,
        guarding=guarding,
        comparing=comparing,
    )


def _of_the_package() -> tuple[Label, ...]:
    try:
        return packaged_labels()
    except ConfigError as error:
        _LOG.warning("without the labels of the package: %s", error)
        return ()
