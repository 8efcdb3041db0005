"""The dashboard's files: all there, all served with what keeps a browser safe, none that asks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from semcache_server.dashboard import dashboard_routes, page_files

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = sorted(name for name in page_files() if name.endswith(".js"))


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=dashboard_routes()))


def test_each_file_is_served_with_a_strict_policy(client: TestClient) -> None:
    assert {"index.html", "main.js", "base.css", "icon.svg"} <= set(page_files())
    for path in ("/dashboard", *(f"/dashboard/{name}" for name in page_files())):
        told = client.get(path)
        assert told.status_code == 200
        policy = told.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert told.headers["x-frame-options"] == "DENY"
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["referrer-policy"] == "no-referrer"
        again = client.get(path, headers={"if-none-match": told.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/dashboard/main.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fadmin.py", "..%2f..%2fapp.py", "%2Fetc"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/dashboard/{name}").status_code == 404


def test_the_page_names_only_files_that_are_there() -> None:
    page = page_files()["index.html"][0].decode()
    named = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert {name for name in named if not name.startswith("#")} <= {
        f"/dashboard/{name}" for name in page_files()
    }
    assert not re.search(r"<script(?![^>]*src=)|<style|style=|\son[a-z]+=", page)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_parses_no_markup_and_asks_nobody_else(name: str) -> None:
    text = page_files()[name][0].decode()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in text
    urls = set(re.findall(r"https?://[^\"'`\s]+", text))
    assert urls <= {"http://www.w3.org/2000/svg"}
    for module in re.findall(r'from "\./([^"]+)"', text):
        assert module in page_files()
    assert len(text.splitlines()) < 300


def test_they_are_in_the_package() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "page/*" in told["tool"]["setuptools"]["package-data"]["semcache_server"]
