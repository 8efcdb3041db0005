"""Files as text: each kind, and what is broken, hostile or too large."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path

import pytest
from pypdf import PdfWriter

from semcache.errors import UnreadableDocument
from semcache.knowledge.loading import SUFFIXES, content_of, text_of

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = """<?xml version="1.0"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels"
 ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml" ContentType=
"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
RELS = """<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r1" Target="word/document.xml" Type=
"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
</Relationships>"""


def docx(body: str) -> bytes:
    """A Word file with this body."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", RELS)
        document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        archive.writestr("word/document.xml", document)
    return file.getvalue()


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of Word's."""
    props = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{props}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf(*lines: str) -> bytes:
    """A PDF of one page with these lines in Helvetica, written by hand."""
    shown = " ".join(f"({line}) Tj 0 -20 Td" for line in lines)
    stream = f"BT /F1 12 Tf 72 720 Td {shown} ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
    return out + head + table + tail % (len(objects) + 1, len(out))


def read(name: str, content: bytes | str, max_bytes: int = 1_000_000) -> str:
    """The text of a file of this name."""
    raw = content if isinstance(content, bytes) else content.encode()
    return text_of(Path(name), raw, max_bytes)


def refused(name: str, content: bytes | str, max_bytes: int = 1_000_000) -> str:
    """Why it cannot be read; the file is named."""
    with pytest.raises(UnreadableDocument) as raised:
        read(name, content, max_bytes)
    assert name in str(raised.value)
    return str(raised.value)


def test_word_keeps_headings_lists_and_tables() -> None:
    row = "<w:tr>{}</w:tr>"
    cell = "<w:tc>{}</w:tc>"
    table = "".join(
        row.format("".join(cell.format(paragraph(text)) for text in cells))
        for cells in (("City", "Fee"), ("Rome", "12"))
    )
    body = paragraph("Fees", "Heading1") + paragraph("退款 within a week.")
    text = read("a.docx", docx(f"{body}<w:tbl>{table}</w:tbl>"))
    assert text.splitlines()[0] == "# Fees"
    assert "退款 within a week." in text
    assert [line.split() for line in text.splitlines() if "Rome" in line] == [
        ["|", "Rome", "|", "12", "|"]
    ]


def test_pdf_pages_are_read() -> None:
    text = read("a.PDF", pdf("Notice period", "is three months"))
    assert text.split() == ["Notice", "period", "is", "three", "months"]


def test_html_is_read_as_markdown_without_what_is_no_text() -> None:
    page = """<html><head><title>T</title><style>p {}</style></head><body><nav>Menu</nav>
    <h2>Prices</h2><p>A <b>lamp</b> costs <a href="http://x.invalid/">12_000*</a>.
    <ul><li>one<li>two</ul><script>alert(1)</script><form><input value="q"></form></body></html>"""
    lines = [line for line in read("a.html", page).splitlines() if line]
    assert lines == ["## Prices", "A lamp costs 12_000*.", "- one", "- two"]


def test_a_page_without_headings_is_called_by_its_title() -> None:
    assert read("a.htm", "<title>Lease</title><p>Three months.") == "# Lease\n\nThree months."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_chinese_text_in_any_usual_encoding(name: str, encoding: str) -> None:
    text = "退款政策：七天之内可以申请。\n第二行"
    assert read(name, text.replace("\n", "\r\n").encode(encoding)) == text


@pytest.mark.parametrize(
    "page",
    [
        "<p>退款政策".encode("gb18030"),
        '<meta charset="gbk"><p>退款政策'.encode("gbk"),
        "<p>退款政策".encode(),
    ],
)
def test_chinese_pages_with_and_without_a_declared_encoding(page: bytes) -> None:
    assert read("a.html", page) == "退款政策"


@pytest.mark.parametrize(
    "content",
    [
        "Le café où l'été naît à Zürich, señor".encode("latin-1"),
        "Съешь ещё этих мягких французских булок".encode("cp1251"),
        "今日は良い天気ですね".encode("shift_jis"),
        b"abc \xff\xfe",
    ],
)
def test_other_encodings_are_refused_rather_than_guessed(content: bytes) -> None:
    assert "is not UTF-8" in refused("a.txt", content)


def test_a_row_says_the_names_of_its_columns() -> None:
    text = read("a.csv", 'city;fee;note\nRome;12;"a; b"\nOslo;;\n')
    assert text.splitlines() == ["city: Rome; fee: 12; note: a; b", "city: Oslo"]


def test_a_table_without_names_stays_a_table() -> None:
    assert read("a.tsv", "1\t2\n3\t4\n") == "1 | 2\n3 | 4"


def test_json_says_where_each_value_stands() -> None:
    value = {"shop": {"name": "灯", "open": True}, "tags": ["a", 1], "rows": [{"x": 1}, {"x": 2}]}
    assert read("a.json", json.dumps(value)).splitlines() == [
        "shop.name: 灯",
        "shop.open: true",
        "tags: a, 1",
        "rows.1.x: 1",
        "rows.2.x: 2",
    ]
    assert read("a.json", '[{"q": "a", "n": null}, {"q": "b"}]') == "q: a\nn: null\n\nq: b"
    assert read("a.jsonl", '{"q": "a"}\n\n{"q": "b"}\n') == "q: a\nq: b"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.pdf", b"%PDF-1.4 nothing else", "cannot be read as PDF"),
        ("a.pdf", pdf("x")[:200], "cannot be read as PDF|holds no text"),
        ("a.pdf", b"", "cannot be read as PDF"),
        ("a.docx", b"PK\x03\x04 cut off", "cannot be read as a Word document"),
        ("a.docx", docx(paragraph("x"))[:-40], "cannot be read as a Word document"),
        ("a.docx", docx("<w:p>"), "cannot be read as a Word document"),
        ("a.json", '{"a": ', "cannot be read as JSON"),
        ("a.jsonl", '{"a": 1}\n{"a"', "line 2 cannot be read as JSON"),
        ("a.json", "[" * 200_000, "nested too deeply"),
        ("a.html", "<div>" * 50_000 + "x", "nested too deeply"),
        ("a.txt", b"a\0b", "holds zero bytes"),
        ("a.xlsx", b"", "of a kind that is not read"),
    ],
)
def test_what_is_broken_is_named(name: str, content: bytes | str, problem: str) -> None:
    assert re.search(problem, refused(name, content))


def test_a_pdf_with_a_password_or_without_text_is_named() -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    plain, locked = io.BytesIO(), io.BytesIO()
    writer.write(plain)
    assert "holds no text" in refused("scan.pdf", plain.getvalue())
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(locked)
    assert "needs a password" in refused("locked.pdf", locked.getvalue())


def test_a_small_file_that_unpacks_to_a_large_one_is_not_unpacked() -> None:
    bomb = docx(paragraph("a" * 3_000_000))
    assert len(bomb) < 10_000
    assert "unpacks to" in refused("bomb.docx", bomb)


def test_entities_that_explode_are_refused() -> None:
    entities = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(9)
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("_rels/.rels", RELS)
        document = f'<w:document xmlns:w="{WORD}"><w:body>{paragraph("&j;")}</w:body></w:document>'
        archive.writestr("word/document.xml", f"{entities}]>{document}")
    assert "cannot be read as a Word document" in refused("laughs.docx", file.getvalue())


def test_what_a_page_links_to_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    page = f'<p>a<img src="{secret.as_uri()}"><iframe src="{secret.as_uri()}"></iframe>b'
    assert "hidden" not in read("a.html", page)


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_text("x" * 101)
    with pytest.raises(UnreadableDocument, match=r"big\.txt has 101 bytes, more than the 100"):
        content_of(path, 100)
    assert len(content_of(path, 101)) == 101
    assert "holds more than 100 characters" in refused("a.json", json.dumps(["y" * 99] * 2), 100)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(UnreadableDocument, match="not a regular file"):
        content_of(tmp_path / "a.txt", 100)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".pdf", ".docx", ".json"}))
def test_an_empty_file_is_an_empty_text(suffix: str) -> None:
    assert read(f"empty{suffix}", b"") == ""
