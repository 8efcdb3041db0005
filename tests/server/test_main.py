"""The command line: gptcache_server's flags, the file, and what goes wrong before serving."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from semcache.errors import ConfigError
from semcache_server import __main__ as server


def configured(*arguments: str) -> object:
    return server.configured(server.parser().parse_args(arguments))


def test_flags_of_gptcache_server(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("config: {similarity_threshold: 0.9}\nserver: {port: 1}\n")
    for flag in ("-f", "--cache-config-file", "-of", "--openai-cache-config-file"):
        config = server.configured(
            server.parser().parse_args(["-s", "h", "-p", "9", "-d", "there", flag, str(file)])
        )
        assert (config.server.host, config.server.port) == ("h", 9)
        assert config.gptcache.data_dir == Path("there")
        assert config.gptcache.similarity_threshold == 0.9
    assert server.parser().parse_args(["-k", "x"]).cache_file_key == "x"


@pytest.mark.parametrize(
    ("arguments", "engines"),
    [
        ([], ("cag",)),
        (["-o"], ("cag", "upstream")),
        (["-o", "True"], ("cag", "upstream")),
        (["--openai", "false"], ("cag",)),
    ],
)
def test_the_openai_flag_adds_an_upstream(arguments: list[str], engines: tuple[str, ...]) -> None:
    assert server.configured(server.parser().parse_args(arguments)).engines == engines


def test_two_files_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="name one file"):
        configured("-f", "a.yaml", "-of", "b.yaml")


@pytest.fixture
def quiet() -> Iterator[None]:
    """The command sets up the log and hears signals; other tests have their own ways."""
    named = [logging.getLogger(name) for name in ("semcache", "uvicorn")]
    levels, root = [logger.level for logger in named], logging.getLogger()
    handlers, hangup = list(root.handlers), signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, hangup)
    root.handlers[:] = handlers
    for logger, level in zip(named, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("quiet")
def test_a_bad_configuration_ends_the_start_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("engnes: []\n")
    with pytest.raises(SystemExit) as left:
        server.main(["-f", str(file)])
    assert left.value.code == "semcache_server: Unknown key 'engnes'. Did you mean 'engines'?"
    with pytest.raises(SystemExit) as left:
        server.main(["-d", str(tmp_path / "d"), "--knowledge", str(tmp_path / "none")])
    assert "none" in str(left.value.code)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "semcache.example", ""])
def test_nobody_is_let_in_from_elsewhere_without_keys(
    host: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as told:
        server.main(["-s", host, "-d", str(tmp_path / "data")])
    assert "server.keys" in str(told.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("localhost", []),
        ("127.0.0.1", []),
        ("127.8.8.8", []),
        ("::1", []),
        ("[::1]", []),
        ("0.0.0.0", ["--insecure"]),
    ],
)
def test_loopback_and_insecure_need_no_keys(host: str, more: list[str]) -> None:
    args = server.parser().parse_args(["-s", host, *more])
    server.require_keys(server.configured(args).server, insecure=args.insecure)
