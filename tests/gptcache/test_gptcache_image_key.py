"""The image-and-question key: content counts, however the image is given."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from semcache.errors import RequestError
from semcache.gptcache.image_key import image_question_key
from semcache.gptcache.loading import load_gptcache

PICTURE = bytes(range(256)) * 64


def test_bytes_path_and_data_url_of_one_picture_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURE)
    url = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    keys = {image_question_key(image, "what?") for image in (PICTURE, path, str(path), url)}
    assert len(keys) == 1


def test_question_and_picture_both_count() -> None:
    assert image_question_key(PICTURE, "what?") != image_question_key(PICTURE, "who?")
    assert image_question_key(PICTURE, "what?") != image_question_key(PICTURE[::-1], "what?")


def test_pictures_that_only_begin_alike_differ_unlike_in_gptcache(tmp_path: Path) -> None:
    load_gptcache()
    from gptcache.processor.pre import get_image_question

    paths = [tmp_path / "one", tmp_path / "two"]
    for path, end in zip(paths, (b"\x01", b"\x02"), strict=True):
        path.write_bytes(b"\x00" * 1_000_000 + end)
    with pytest.warns(ResourceWarning):
        theirs = {get_image_question({"image": str(p), "question": "what?"}) for p in paths}
    assert len(theirs) == 1
    assert len({image_question_key(path, "what?") for path in paths}) == 2


def test_a_url_counts_by_its_text_and_is_not_fetched() -> None:
    one = image_question_key("https://pictures.invalid/1.png", "what?")
    assert one != image_question_key("https://pictures.invalid/2.png", "what?")
    assert one != image_question_key(b"https://pictures.invalid/1.png", "what?")


@pytest.mark.parametrize(
    "image", ["no/such/file.png", "data:image/png;base64,@@@", "data:image/png;base64", "a\0b"]
)
def test_what_cannot_be_read_is_refused(image: str) -> None:
    with pytest.raises(RequestError, match="image"):
        image_question_key(image, "what?")
