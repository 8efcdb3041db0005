"""What the encoder says of a text: its vector, its length, what it does not know."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from semcache.embedding.encoder import SentenceEncoder
from semcache.errors import ConfigError, EmbeddingError
from semcache.interfaces import Encoded, Vector

PAIRS = [
    ("How do I reset my password?", "I forgot my password, how can I change it?"),
    ("Can I get a refund for my ticket?", "Is it possible to have my money back for the ticket?"),
    ("What is the tallest mountain on earth?", "Which mountain is the highest in the world?"),
    ("How long do I boil an egg?", "For how many minutes should an egg be cooked?"),
    ("Where can I park near the airport?", "Is there parking close to the airport?"),
    ("How do I install Python on Windows?", "Installing Python on a Windows computer"),
]
MIXED = [
    *(text for pair in PAIRS for text in pair),
    "hi",
    "",
    "Tell me, in as much detail as you can, how the pension of a nurse is worked out when she "
    "has lived in two countries, and which papers she must send to which office by what date.",
]


def _vector(encoded: Encoded) -> Vector:
    assert encoded.vector is not None
    return encoded.vector


def test_vectors_are_unit_rows_of_float32(encoder: SentenceEncoder) -> None:
    assert encoder.dim == 384
    for one in encoder.encode(MIXED):
        vector = _vector(one)
        assert vector.shape == (384,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_every_paraphrase_is_nearer_than_any_other_question(encoder: SentenceEncoder) -> None:
    left = np.stack([_vector(one) for one in encoder.encode([a for a, _ in PAIRS])])
    right = np.stack([_vector(one) for one in encoder.encode([b for _, b in PAIRS])])
    cosines = left @ right.T
    others = cosines[~np.eye(len(PAIRS), dtype=bool)]
    assert cosines.diagonal().min() > others.max()


def test_a_vector_does_not_depend_on_the_texts_beside_it(encoder: SentenceEncoder) -> None:
    alone = [_vector(encoder.encode([text])[0]) for text in MIXED]
    together = [_vector(one) for one in encoder.encode(MIXED * 3)]
    for at, vector in enumerate(together):
        np.testing.assert_allclose(vector, alone[at % len(MIXED)], atol=1e-5)


def test_eight_threads_get_what_one_gets(encoder: SentenceEncoder) -> None:
    alone = [_vector(one) for one in encoder.encode(MIXED)]
    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(lambda _: encoder.encode(MIXED), range(16)))
    for run in runs:
        for one, expected in zip(run, alone, strict=True):
            np.testing.assert_allclose(_vector(one), expected, atol=1e-6)


def test_window_is_exact(encoder: SentenceEncoder) -> None:
    assert encoder.window == 256
    fits, exceeds = encoder.encode([" ".join(["word"] * n) for n in (254, 255)])
    assert (fits.tokens, fits.truncated) == (256, False)
    assert fits.vector is not None
    assert exceeds == Encoded(None, 257, truncated=True, unknown_share=0.0)


@pytest.mark.parametrize(
    "text",
    ["word " * 200_000, "word" * 5 + "\n" * 40_000 + "word " * 300, "你" * 400_000],
    ids=["words", "late", "chinese"],
)
def test_a_huge_text_has_no_vector(encoder: SentenceEncoder, text: str) -> None:
    one = encoder.encode([text])[0]
    assert one.vector is None
    assert one.truncated
    assert one.tokens > encoder.window


def test_a_huge_text_of_few_tokens_is_read_to_its_end(encoder: SentenceEncoder) -> None:
    spaced, same = encoder.encode(["pay" + " " * 300_000 + "bills", "pay bills"])
    assert (spaced.tokens, spaced.truncated) == (4, False)
    np.testing.assert_allclose(_vector(spaced), _vector(same), atol=1e-5)


def test_a_long_text_spoils_no_other(encoder: SentenceEncoder) -> None:
    first, long, last = encoder.encode(["pay bills", "word " * 400, "read books"])
    assert long.vector is None
    assert _vector(first) @ _vector(encoder.encode(["pay bills"])[0]) == pytest.approx(1, abs=1e-5)
    assert _vector(last) @ _vector(encoder.encode(["read books"])[0]) == pytest.approx(1, abs=1e-5)


def test_unknown_share_tells_a_language_that_the_model_cannot_read(
    encoder: SentenceEncoder,
) -> None:
    english, chinese, half = encoder.encode(
        ["How do I pay my bill?", "如何办理退款手续呢", "pay 你"]
    )
    assert english.unknown_share == 0
    assert chinese.unknown_share > 0.5
    assert half.unknown_share == 0.5


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u200b", "\x00"])
def test_nothing_to_read_is_two_tokens(encoder: SentenceEncoder, text: str) -> None:
    one = encoder.encode([text])[0]
    assert (one.tokens, one.truncated, one.unknown_share) == (2, False, 0.0)
    assert np.isfinite(_vector(one)).all()


def test_no_text_no_vector(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]) == []


def test_special_tokens_in_a_question_are_text(encoder: SentenceEncoder) -> None:
    one = encoder.encode(["pay [SEP] bills"])[0]
    assert one.tokens == len(["[CLS]", "pay", "[", "sep", "]", "bills", "[SEP]"])
    assert encoder.encode(["[UNK] [UNK]"])[0].unknown_share == 0


def test_half_a_surrogate_pair_does_not_break_the_text(encoder: SentenceEncoder) -> None:
    broken, whole = encoder.encode(["pay my\ud83d bills", "pay my bills 😀"])
    assert np.isfinite(_vector(broken)).all()
    assert whole.tokens == 6


def test_what_is_no_text_is_an_error_of_ours(encoder: SentenceEncoder) -> None:
    with pytest.raises(EmbeddingError):
        encoder.encode([b"pay my bills"])  # type: ignore[list-item]


def test_a_closed_encoder_says_so(models: Path) -> None:
    encoder = SentenceEncoder.open(cache_dir=models)
    encoder.close()
    with pytest.raises(EmbeddingError):
        encoder.encode(["pay my bills"])


def test_fingerprint_is_the_same_everywhere(
    encoder: SentenceEncoder, plain: SentenceEncoder
) -> None:
    """Stored vectors carry it: a change here makes every store's vectors foreign."""
    assert encoder.fingerprint == "75020846a5b70ea58617a2234d969921"
    assert plain.fingerprint != encoder.fingerprint


def test_nothing_is_asked_of_the_network(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the encoder opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert SentenceEncoder.open(cache_dir=models).encode(["hi"])[0].vector is not None
    with pytest.raises(ConfigError, match="Hugging Face cache"):
        SentenceEncoder.open("semcache-tests/is-not-in-the-cache", cache_dir=models)


def test_near_equal_lengths_share_a_pass_and_no_other() -> None:
    from semcache.embedding.encoder import _groups

    lengths = [8, 200, 9, 8, 30, 200, 200, 31, 300]
    groups = list(_groups([0, 1, 2, 3, 4, 5, 6, 7], lengths, alone=False))
    assert sorted(at for group in groups for at in group) == [0, 1, 2, 3, 4, 5, 6, 7]
    for group in groups:
        sizes = [lengths[at] for at in group]
        assert max(sizes) <= min(sizes) * 9 / 8
        assert len(group) * max(sizes) <= 512
    assert [0, 3, 2] in groups
    assert all(max(a) != max(b) for a, b in pairwise(groups))
    assert [len(g) for g in _groups(range(40), [8] * 40, alone=False)] == [16, 16, 8]
    assert all(len(g) == 1 for g in _groups(range(5), [8] * 5, alone=True))
