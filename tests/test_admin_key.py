"""The admin's key: made once, readable by its owner only, compared by its digest."""

from __future__ import annotations

import stat
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from semcache import cli
from semcache.admin_key import FILE, is_known, read_admin_key
from semcache.config import Config
from semcache.errors import ConfigError


def test_the_key_is_made_once_also_by_several_at_once(tmp_path: Path) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def read() -> None:
        barrier.wait()
        found.append(read_admin_key(tmp_path))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("short\n")
    with pytest.raises(ConfigError, match="admin_key is damaged"):
        read_admin_key(tmp_path)


def test_only_its_digest_lets_a_key_in() -> None:
    digests = [sha256(b"one").hexdigest(), sha256(b"two").hexdigest()]
    assert is_known("one", digests)
    assert is_known("two", digests)
    assert not is_known("three", digests)
    assert not is_known(digests[0], digests)
    assert not is_known("", [sha256(b"").hexdigest()])
    assert not is_known("one", [])


def test_a_configured_key_must_be_a_digest() -> None:
    with pytest.raises(ConfigError, match="admin_keys"):
        Config.from_mapping({"server": {"admin_keys": ["sk-secret"]}})
    good = sha256(b"one").hexdigest()
    read = Config.from_mapping({"server": {"admin_keys": [good]}})
    assert read.server.admin_keys == (good,)


@pytest.mark.parametrize(
    ("server", "authority"),
    [
        ("{host: localhost, port: 9}", "localhost:9"),
        ("{host: 0.0.0.0}", "localhost:8000"),
        ("{host: '::'}", "localhost:8000"),
        ("{host: '::1', port: 9}", "[::1]:9"),
        ("{host: 127.0.0.1}", "127.0.0.1:8000"),
        ("{host: cache.lan, port: 80}", "cache.lan:80"),
    ],
)
def test_the_command_prints_the_key_in_the_fragment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: str, authority: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"server: {server}\n")
    with pytest.raises(SystemExit) as left:
        cli.main(["dashboard", "-f", str(file), "-d", str(tmp_path / "data")])
    assert not left.value.code
    said = capsys.readouterr()
    key = read_admin_key(tmp_path / "data")
    assert said.out == f"http://{authority}/dashboard#key={key}\n"
    assert key not in said.err
