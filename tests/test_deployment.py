"""What is deployed fits what is there: unit, image, compose files, and the page on LiteLLM."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from semcache.config import Config
from semcache_server.options import parser

SERVER = Path(__file__).resolve().parent.parent / "server"
ROOT = SERVER.parent


def unit() -> dict[str, list[str]]:
    """The settings of the unit, by name."""
    found: dict[str, list[str]] = {}
    for line in (SERVER / "semcache.service").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_what_there_is_and_is_locked_up() -> None:
    told = unit()
    options = parser().parse_args(shlex.split(told["ExecStart"][0])[1:])
    assert str(options.cache_dir) == "/var/lib/" + told["StateDirectory"][0]
    assert "-HUP $MAINPID" in told["ExecReload"][0]
    assert told["Type"] == ["notify"]
    grace = Config.from_mapping({}).server.shutdown_grace_s
    assert int(told["TimeoutStopSec"][0]) > grace
    for name in ("DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateUsers"):
        assert told[name] == ["yes"]
    assert told["ProtectSystem"] == ["strict"]
    assert told["CapabilityBoundingSet"] == [""]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    text = (SERVER / "semcache.service").read_text(encoding="utf-8")
    copy = tmp_path / "semcache.service"
    copy.write_text(text.replace("/opt/semcache/bin/semcache_server", "/bin/true"))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True
    )
    assert (told.returncode, told.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copy)],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout[-300:]


def test_the_image_copies_what_there_is_and_does_not_run_as_root() -> None:
    text = (SERVER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert re.fullmatch(r"FROM python:3\.\d+-slim", lines[0])
    for line in lines:
        if line.startswith("COPY "):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
    assert not any(line.startswith("ADD ") or "sudo" in line for line in lines)
    assert "USER 10001:10001" in lines
    told = dict(line.split(" ", 1) for line in lines)
    options = parser().parse_args([*json.loads(told["ENTRYPOINT"])[1:], *json.loads(told["CMD"])])
    assert (options.host, options.port, options.insecure) == ("0.0.0.0", 8000, True)


@pytest.mark.parametrize("name", ["compose.yaml", "vllm/compose.yaml"])
def test_a_compose_file_publishes_to_this_machine_only(name: str) -> None:
    folder = (SERVER / name).parent
    service = yaml.safe_load((SERVER / name).read_text(encoding="utf-8"))["services"]["semcache"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert parser().parse_args(service["command"]).insecure
    built = (folder / service["build"]["context"]).resolve()
    assert built == ROOT
    assert (built / service["build"]["dockerfile"]).is_file()


def test_the_page_on_litellm_names_keys_that_there_are() -> None:
    page = (SERVER / "README.md").read_text(encoding="utf-8")
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", page, flags=re.S) if "# semcache" in b)
    config = Config.from_mapping(yaml.safe_load(block))
    assert config.upstream.base_url == "http://litellm:4000/v1"
    assert config.upstream.forward_headers == ("x-litellm-tags",)
