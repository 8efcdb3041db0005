"""The key of a question about an image, for visual question answering.

GPTCache's `get_image_question` makes one text of the image and the question, but of the image only
what the first read buffer holds. Here the image counts by all of its content.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import blake2b
from pathlib import Path
from urllib.parse import unquote_to_bytes

from semcache.errors import RequestError


def image_question_key(image: bytes | Path | str, question: str) -> str:
    """The key of a question about an image: the digest of the image's content, then the question.

    `image` is its bytes, a path, or a URL; a `data:` URL counts by its bytes, another URL by its
    own text, since nothing is downloaded. Raises RequestError where the file or the `data:` URL
    cannot be read.
    """
    kind, content = _image_content(image)
    return f"{kind}:{blake2b(content, digest_size=32).hexdigest()}\n{question}"


def _image_content(image: bytes | Path | str) -> tuple[str, bytes]:
    if isinstance(image, bytes):
        return "image", image
    if isinstance(image, str) and image[:5].lower() == "data:":
        return "image", _data_url_bytes(image)
    if isinstance(image, str) and "://" in image:
        return "url", image.encode()
    try:
        return "image", Path(image).read_bytes()
    except (OSError, ValueError) as error:
        raise RequestError("The image cannot be read; give its bytes, path or URL.") from error


def _data_url_bytes(url: str) -> bytes:
    head, comma, data = url.partition(",")
    raw = unquote_to_bytes(data)
    if comma and not head.lower().endswith(";base64"):
        return raw
    try:
        if comma:
            return base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error:
        pass
    raise RequestError("The image's data: URL is broken; send it as data:image/png;base64,...")
