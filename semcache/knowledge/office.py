"""PDF and Word files as text. Nothing in them is run, and nothing that they link to is read."""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from typing import Any
from xml.parsers.expat import ExpatError

import mammoth
from pypdf import PasswordType, PdfReader
from pypdf.errors import PyPdfError

from semcache.errors import UnreadableDocument
from semcache.knowledge.markup import from_html

_MOST_PARTS = 10_000
_READ_BY_MAMMOTH = (".xml", ".rels")
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ExpatError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What parsers raise on damaged input beside their own errors."""


def from_pdf(name: str, content: bytes, max_chars: int) -> str:
    """The text of all pages, a blank line between two. Raises UnreadableDocument."""
    pages: list[str] = []
    size = 0
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity it repairs
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise UnreadableDocument(f"{name} needs a password: save it without one.")
        for page in reader.pages:
            pages.append(page.extract_text().strip())
            size += len(pages[-1])
            if size > max_chars:
                break  # the caller says so
    except UnreadableDocument:
        raise
    except (PyPdfError, *_BROKEN) as error:
        raise UnreadableDocument(
            f"{name} cannot be read as PDF ({type(error).__name__}): repair it, or save it anew."
        ) from None
    text = "\n\n".join(page for page in pages if page)
    if not text:
        raise UnreadableDocument(
            f"{name} holds no text, only pictures of it: run it through text recognition first."
        )
    return text


def from_docx(name: str, content: bytes, max_bytes: int) -> str:
    """The document's text with its headings, lists and tables. Raises UnreadableDocument."""
    try:
        _require_bounded(name, content, max_bytes)
        converted: Any = mammoth.convert_to_html(
            io.BytesIO(content), convert_image=lambda image: [], external_file_access=False
        )
    except UnreadableDocument:
        raise
    except (zipfile.BadZipFile, zlib.error, *_BROKEN) as error:
        raise UnreadableDocument(
            f"{name} cannot be read as a Word document ({type(error).__name__}): save it anew."
        ) from None
    return from_html(name, str(converted.value))


def _require_bounded(name: str, content: bytes, max_bytes: int) -> None:
    """A small file may unpack to a very large one; its directory says to how much."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
    size = sum(part.file_size for part in parts if part.filename.endswith(_READ_BY_MAMMOTH))
    if len(parts) > _MOST_PARTS or size > max_bytes:
        raise UnreadableDocument(
            f"{name} unpacks to {size:,} bytes in {len(parts):,} parts, more than the "
            f"{max_bytes:,} bytes that a document may have ('knowledge.max_file_bytes')."
        )
