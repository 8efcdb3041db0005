"""From the settings to a model that is proved, named and ready."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch

from semcache.cag.context.probe import choose_sharing
from semcache.cag.context.sharing import Sharing
from semcache.cag.network.identity import digest_of
from semcache.cag.network.model import LanguageModel, load_model, locate
from semcache.cag.opening.quickening import quickened
from semcache.cag.prompting.prompt import ChatFormat
from semcache.cag.settings import CagSettings

Progress: TypeAlias = Callable[[str], None]

_ANSWERS = "semcache-cag-2"
"""Changes whenever the engine would answer the same question differently."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`fingerprint`: 64 hex digits over everything but the knowledge that shapes an answer.

    `folder` is the model's.
    """

    model: LanguageModel
    sharing: Sharing
    chat_format: ChatFormat
    fingerprint: str
    folder: Path


def load(settings: CagSettings, cache_dir: Path, now: float, progress: Progress) -> Loaded:
    """Load on this thread, which must be the one that uses the model. Raises ConfigError.

    `now` is the date that a chat template may show, in Unix seconds.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)  # of this thread: OpenMP counts per thread
    folder = locate(settings, cache_dir, progress)
    progress(f"loading {settings.short_name}")
    plain = load_model(folder, settings)
    sharing = choose_sharing(plain)
    model, weights = quickened(plain, sharing, settings.weights, cache_dir, progress)
    today = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%d %b %Y")
    return Loaded(
        model=model,
        sharing=sharing,
        chat_format=ChatFormat(model.tokenizer, today),
        fingerprint=_fingerprint(model, weights, settings),
        folder=folder,
    )


def _fingerprint(model: LanguageModel, weights: str, settings: CagSettings) -> str:
    facts = (
        _ANSWERS,
        *asdict(model.identity).values(),
        str(model.dtype),
        weights,
        str(model.window),
        settings.instruction,
        str(settings.max_tokens),
        str(settings.spell_out),
        str(settings.end_loops),
    )
    return digest_of(*(fact.encode() for fact in facts))
