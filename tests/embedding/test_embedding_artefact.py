"""The artefact: made once, whole or not at all, whoever is killed while making it."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semcache.embedding.artefact import models_dir
from semcache.embedding.encoder import SentenceEncoder
from semcache.errors import ConfigError
from semcache.interfaces import Vector
from tests.embedding.tiny_bert import WORDS, rewrite_config, write_tokenizer

TEXT = "how do i pay my bills ?"
OPEN = """
import sys
from pathlib import Path
from semcache.embedding import SentenceEncoder
SentenceEncoder.open(sys.argv[1], cache_dir=Path(sys.argv[2]), say=print)
"""
KILLED_WHILE_WRITING = (
    """
import os, signal
from semcache.embedding import artefact
def half(path, content):
    path.write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
artefact._write = half
"""
    + OPEN
)


def _vector(encoder: SentenceEncoder) -> Vector:
    vector = encoder.encode([TEXT])[0].vector
    assert vector is not None
    return vector


def _open(model: Path, cache: Path, said: list[str] | None = None) -> SentenceEncoder:
    lines = [] if said is None else said
    return SentenceEncoder.open(str(model), cache_dir=cache, say=lines.append)


def _run(code: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def _finished(process: subprocess.Popen[str]) -> str:
    with process:
        assert process.stdout is not None
        return process.stdout.read()


def test_made_once(tiny: Path, tmp_path: Path) -> None:
    said: list[str] = []
    first = _open(tiny, tmp_path / "cache", said)
    assert len(said) == 1
    second = _open(tiny, tmp_path / "cache", said)
    assert len(said) == 1
    np.testing.assert_array_equal(_vector(first), _vector(second))


def test_only_the_owner_can_read_it(tiny: Path, tmp_path: Path) -> None:
    encoder = _open(tiny, tmp_path / "cache")
    folder = tmp_path / "cache" / encoder.fingerprint
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"model.onnx": 0o600, "manifest.json": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700


def _truncate(folder: Path) -> None:
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:1000])


def _scramble(folder: Path) -> None:
    model = folder / "model.onnx"
    model.write_bytes(bytes(model.stat().st_size))


def _lose_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _spoil_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[]")


@pytest.mark.parametrize("damage", [_truncate, _scramble, _lose_manifest, _spoil_manifest])
def test_a_damaged_artefact_is_made_anew(tiny: Path, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    encoder = _open(tiny, tmp_path / "cache")
    damage(tmp_path / "cache" / encoder.fingerprint)
    said: list[str] = []
    again = _open(tiny, tmp_path / "cache", said)
    assert len(said) == 1
    np.testing.assert_array_equal(_vector(encoder), _vector(again))
    left = {path.name for path in (tmp_path / "cache").iterdir()} - {f"{encoder.fingerprint}.lock"}
    assert left == {encoder.fingerprint}


def test_who_is_killed_while_writing_leaves_nothing_behind(tiny: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    killed = _run(KILLED_WHILE_WRITING, tiny, cache)
    _finished(killed)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name[0] for path in cache.iterdir() if path.is_dir()] == ["."]
    encoder = _open(tiny, cache)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [encoder.fingerprint]
    np.testing.assert_array_equal(_vector(encoder), _vector(_open(tiny, tmp_path / "other")))


def test_of_several_processes_one_makes_it(tiny: Path, tmp_path: Path) -> None:
    running = [_run(OPEN, tiny, tmp_path / "cache") for _ in range(3)]
    said = [_finished(process) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(map(len, said))[:2] == [0, 0]
    assert sum("converting the encoder" in lines for lines in said) == 1


def test_fingerprint_follows_the_content_and_not_the_place(tiny: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    original = _open(tiny, cache).fingerprint
    moved = tiny.rename(tmp_path / "moved")
    assert _open(moved, cache).fingerprint == original

    seen = {original, SentenceEncoder.open(str(moved), cache_dir=cache, quantize=False).fingerprint}
    (moved / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    seen.add(_open(moved, cache).fingerprint)
    write_tokenizer(moved / "tokenizer.json", (*WORDS[::-1],))
    seen.add(_open(moved, cache).fingerprint)
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    seen.add(_open(moved, cache).fingerprint)
    assert len(seen) == 5


def test_weights_that_are_none_leave_nothing_behind(tiny: Path, tmp_path: Path) -> None:
    (tiny / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigError, match="cannot be converted"):
        _open(tiny, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_weights_of_another_shape_than_the_configuration(tiny: Path, tmp_path: Path) -> None:
    rewrite_config(tiny, num_hidden_layers=3)
    with pytest.raises(ConfigError, match=r"encoder\.layer\.2"):
        _open(tiny, tmp_path / "cache")


def test_a_cache_directory_that_cannot_be_made(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="SEMCACHE_CACHE_DIR"):
        _open(tiny, tmp_path / "file" / "cache")


def test_cache_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMCACHE_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert models_dir() == Path.home() / ".cache" / "semcache" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert models_dir() == Path("/xdg/semcache/models")
    monkeypatch.setenv("SEMCACHE_CACHE_DIR", "/own")
    assert models_dir() == Path("/own/models")


def test_manifest_holds_no_path(tiny: Path, tmp_path: Path) -> None:
    encoder = _open(tiny, tmp_path / "cache")
    manifest = tmp_path / "cache" / encoder.fingerprint / "manifest.json"
    assert set(json.loads(manifest.read_text())) == {"bytes", "sha256"}
