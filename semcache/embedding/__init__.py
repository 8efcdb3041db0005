"""The sentence encoder: texts to unit vectors, by onnxruntime.

    source.py     where a model's files are: installed, in a folder, in the Hugging Face cache
    graph.py      the network as an ONNX graph, built from its weights, int8 for each row
    artefact.py   the graph on disk: made once, under a lock, checked when it is opened
    encoder.py    SentenceEncoder: the artefact behind `interfaces.Embedder`

Importing the package loads no runtime; `SentenceEncoder` is resolved on first use (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from semcache.embedding.source import DEFAULT_MODEL

if TYPE_CHECKING:
    from semcache.embedding.encoder import SentenceEncoder

__all__ = ["DEFAULT_MODEL", "SentenceEncoder"]


def __getattr__(name: str) -> Any:
    if name == "SentenceEncoder":
        from semcache.embedding.encoder import SentenceEncoder

        return SentenceEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
