"""Bytes of a text file as text: UTF-8, UTF-16 and UTF-32 with their marks, and Chinese GB 18030."""

from __future__ import annotations

import codecs

from semcache.errors import UnreadableDocument

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON_SHARE = 0.95


def decoded(name: str, content: bytes) -> str:
    """The text, with line ends as `\\n`. Raises UnreadableDocument rather than guess."""
    encoding = next((known for mark, known in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        text = _chinese(content)
        if not text:
            raise UnreadableDocument(
                f"{name} is not UTF-8 (byte {error.start:,}): convert it, or keep it out of the "
                "folder."
            ) from None
    if "\0" in text:
        raise UnreadableDocument(f"{name} is no text (it holds zero bytes): keep it out.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _chinese(content: bytes) -> str:
    """The text if it is GB 18030 beyond doubt, else empty.

    Nearly any bytes are *valid* GB 18030; but text of another encoding falls on rare characters,
    and Chinese text on those that the older and smaller GB 2312 has.
    """
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    foreign = [char for char in text if not char.isascii()]
    common = sum(bool(char.encode("gb2312", errors="ignore")) for char in foreign)
    return text if foreign and common >= _COMMON_SHARE * len(foreign) else ""
