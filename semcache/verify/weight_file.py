"""Weight files: JSON with a SHA-256 of its own content. Nothing in them is ever executed.

Whatever does not fit is refused when it is loaded, not when a question waits.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from semcache.errors import ConfigError

Floats: TypeAlias = NDArray[np.float32]
Made = TypeVar("Made")

_MAX_BYTES = 8_000_000


def read(path: Path, format_: str, make: Callable[[dict[str, Any]], Made]) -> Made:
    """What `make` makes of a file of this format. Raises ConfigError where it is not whole."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("format") != format_:
            raise ValueError(f"the format is not '{format_}'")
        if data.get("sha256") != digest(data):
            raise ValueError("the digest does not fit the content")
        return make(data)
    except OSError as error:
        raise ConfigError(f"The verifier's weights {path} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"The verifier's weights {path} are damaged or of another kind ({error}). "
            "Reinstall the package, or train them again with benchmarks.training."
        ) from error


def sealed(data: dict[str, Any]) -> str:
    """The text of a weight file: the content with its digest."""
    return json.dumps({**data, "sha256": digest(data)}, separators=(",", ":"))


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of the content, the digest itself left out."""
    content = {name: value for name, value in data.items() if name != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def pack(values: NDArray[Any]) -> str:
    """Half precision, little endian, in Base64: a third of the digits' bytes."""
    return base64.b64encode(values.astype("<f2").tobytes()).decode("ascii")


def packed(text: Any, *shape: int) -> Floats:
    """The inverse of `pack`: finite float32 of exactly this shape. Raises ValueError, TypeError."""
    found = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f2")
    if found.size != int(np.prod(shape)) or not bool(np.isfinite(found).all()):
        raise ValueError(f"an array of the shape {shape} has other or unsound content")
    return found.astype(np.float32).reshape(shape)


def array(values: Any, *shape: int) -> Floats:
    """Finite float32 of exactly this shape. Raises ValueError."""
    found = np.asarray(values, dtype=np.float32)
    if found.shape != shape:
        raise ValueError(f"an array of shape {found.shape} stands where {shape} belongs")
    if not bool(np.isfinite(found).all()):
        raise ValueError("a weight is not finite")
    return found
