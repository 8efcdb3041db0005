"""HTML as Markdown: headings, lists and tables kept; scripts, navigation and pictures left out."""

from __future__ import annotations

import re

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from markdownify import MarkdownConverter

from semcache.errors import UnreadableDocument
from semcache.knowledge.decoding import decoded

_NO_TEXT = (
    "script style noscript template svg math canvas iframe object embed audio video "
    "nav form button input select textarea"
).split()
_HEADINGS = re.compile(r"^h[1-6]$")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_LINE_END = re.compile(r"[ \t\u00a0]+$", re.MULTILINE)


def from_html(name: str, content: bytes | str) -> str:
    """The page's text. Nothing is fetched. Raises UnreadableDocument."""
    if isinstance(content, bytes) and not EncodingDetector.find_declared_encoding(content, True):
        content = decoded(name, content)
    try:
        page = BeautifulSoup(content, "lxml")
        title = page.title.get_text(" ", strip=True) if page.title else ""
        for element in page.find_all([*_NO_TEXT, "head"]):
            element.decompose()
        text = _converter.convert_soup(page)
    except RecursionError:
        raise UnreadableDocument(
            f"{name} is nested too deeply to be read: save it in a plainer form."
        ) from None
    if title and page.find(_HEADINGS) is None:
        text = f"# {title}\n\n{text}"
    return _BLANK_LINES.sub("\n\n", _LINE_END.sub("", text)).strip()


_converter = MarkdownConverter(
    heading_style="ATX",
    bullets="-",
    strip=["a", "img", "b", "strong", "i", "em"],
    escape_asterisks=False,
    escape_underscores=False,
)
