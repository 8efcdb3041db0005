"""The dashboard in a real Chromium, against a real server: one visit, from the key to the phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest

from semcache.chat import ChatRequest
from semcache.completion import Completion
from semcache_server.admin import AdminDoor
from tests.scripted import ScriptedAnswerer, echo
from tests.server.browser import browsing
from tests.server.serving import serving
from tests.server.visiting import Visit

KEY = "sk-semcache-admin-" + "k" * 43
DOOR = AdminDoor((sha256(KEY.encode()).hexdigest(),))
HEIGHT = "How tall is the Eiffel Tower?"
HEIGHT_TOO = "What is the height of the Eiffel Tower?"
EVIL = '<img src=x onerror="window.hacked=1"> </script><script>window.hacked=2</script> why?'
VIEWS = ("overview", "decisions", "entries", "ask")


def cited(request: ChatRequest) -> Completion:
    """An echo of what was asked, markup and all, with a source as hostile."""
    wire = echo(request).wire
    return Completion({**wire, "citations": [{"document": EVIL, "heading": "<b>h</b>"}]})


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    answerer = ScriptedAnswerer(cited)
    with (
        browsing(tmp_path_factory.mktemp("profile")) as page,
        serving(tmp_path_factory.mktemp("data"), answerer, admin=DOOR) as http,
    ):
        http.headers["authorization"] = f"Bearer {KEY}"
        page.seen(1280, 900)
        list(page.asked_for())  # the browser's own first page
        yield Visit(page, http, answerer)


@pytest.fixture(autouse=True)
def nothing_amiss(visit: Visit) -> Iterator[None]:
    """Whatever a test does: no request leaves the server, and the console is silent."""
    yield
    origin = str(visit.http.base_url).rstrip("/")
    asked = list(visit.page.asked_for())
    assert asked
    assert [url for url in asked if not url.startswith(f"{origin}/")] == []
    assert [line for line in visit.page.complaints() if " 401 " not in line] == []


@pytest.fixture
def inside(visit: Visit) -> Visit:
    """The page, opened with the key."""
    visit.page.driver.get("about:blank")
    list(visit.page.asked_for())
    visit.page.driver.get(f"{visit.url}#key={KEY}")
    visit.page.one(".tile")
    return visit


def test_the_key_is_asked_for_and_leaves_the_address(visit: Visit) -> None:
    page = visit.page
    page.driver.get(visit.url)
    page.one("form.unlock")
    page.type("#key", "sk-wrong")
    page.click("button", "Open the dashboard")
    page.one(".error", "admin key")
    assert page.all(".tile") == []
    page.type("#key", KEY)
    page.click("button", "Open the dashboard")
    page.one(".tile", "Hit rate")
    page.click("#lock")
    page.one("form.unlock")
    assert page.run("return sessionStorage.length") == 0
    page.driver.get(f"{visit.url}#key={KEY}")  # the same page: only its fragment changes
    page.one(".tile", "Hit rate")
    page.driver.refresh()
    page.one(".tile", "Hit rate")
    assert page.driver.current_url == visit.url
    assert KEY not in page.driver.page_source
    assert page.run("return document.cookie + JSON.stringify(localStorage)") == "{}"


def test_asking_shows_which_layer_answers(inside: Visit) -> None:
    miss = inside.ask(HEIGHT)
    assert "Miss" in miss
    assert f"m answers: {HEIGHT}" in miss
    assert "Sources" in miss
    assert re.search(r"First word\s+[\d.]+ (µs|ms|s)", miss)
    hit = inside.ask(HEIGHT)
    assert "Exact hit" in hit
    assert "Entry" in hit
    assert inside.page.all(".run")[0].find_elements("css selector", ".path .answered.c-hit")
    near = inside.ask(HEIGHT_TOO)
    assert "Semantic hit" in near
    assert re.search(r"Cosine\s+0\.9\d\d", near)
    around = inside.ask(HEIGHT, cache="without")
    assert "Bypass" in around
    assert "request=no-cache" in around
    inside.page.click(".ask-form .check")
    assert "without the documents" in inside.ask(HEIGHT)
    assert inside.answerer.calls[-1].options["knowledge"] is False
    inside.page.click(".ask-form .check")
    inside.ask(HEIGHT, cache="both")
    pair = inside.page.one(".pair")
    inside.page.until(
        lambda: "Exact hit" in pair.text and "Bypass" in pair.text, "both, side by side"
    )


def test_the_overview_says_what_the_server_counts_and_draws_it(inside: Visit) -> None:
    inside.ask(HEIGHT)
    inside.ask(HEIGHT)
    inside.ask(HEIGHT_TOO)
    inside.open("overview")
    page = inside.page
    told = inside.http.get("/v1/cache/stats").json()
    requests = page.one('[data-figure="Requests"]')
    assert requests.text == str(told["totals"]["requests"])
    rate = told["totals"]["hit_rate"]
    assert page.one('[data-figure="Hit rate"]').text == f"{100 * rate:.1f} %"
    assert page.one('[data-figure="Entries"]').text == str(told["store"]["entries"])
    charts = page.until(
        lambda: [e for e in page.all(".chart svg[role=img]")][4:] and page.all(".chart svg"),
        "five charts",
    )
    assert all(len(chart.get_attribute("aria-label") or "") > 8 for chart in charts)
    for mark in ("rect.s-hit", "rect.s-semantic", "line.gate", "circle.dot"):
        found = page.all(f".chart {mark}")
        assert found, mark
        assert any(one.rect["height"] > 0 for one in found), mark
    assert page.one(".gate-text").text == "threshold 0.60"
    page.click(".seg button", "24 h")
    page.one(".sub", "in 24 h")


def test_decisions_are_listed_with_their_reasons(inside: Visit) -> None:
    inside.ask(HEIGHT)
    inside.ask(HEIGHT)
    inside.open("decisions")
    page = inside.page
    page.one(".decisions tbody tr", HEIGHT)
    seen = inside.http.get("/v1/cache/decisions").json()["data"]
    page.until(lambda: len(page.all(".decisions tbody tr")) == len(seen), "all decisions")
    page.click(".seg button", "Misses")
    shown = [row.text for row in page.all(".decisions tbody tr")]
    assert shown
    assert all("Miss" in row for row in shown)
    page.click(".seg button", "All")
    page.click(".decisions .go .cellbutton", HEIGHT)
    page.one("dialog .verdict", "hit")
    page.click("dialog .icon")
    page.gone("dialog")


def test_entries_are_found_explained_quarantined_released_and_deleted(inside: Visit) -> None:
    assert "answers" in inside.ask(HEIGHT)
    page = inside.page
    inside.open("entries")
    page.type("input[type=search]", "EIFFEL tower")
    page.click("button", "Search")
    page.until(lambda: len(page.all(".entries tbody tr")) >= 1, "entries by words")
    page.click(".seg button", "Meaning")
    page.type("input[type=search]", HEIGHT_TOO)
    page.click("button", "Search")
    page.one(".entries th", "Cosine")
    page.click(".entries .cellbutton", HEIGHT)
    page.one("dialog .verdict", "Exact hit")
    page.type("dialog form input", HEIGHT_TOO)
    page.click("dialog button", "Try this wording")
    page.one("dialog .verdict", "Semantic hit")
    page.one("dialog .candidate", HEIGHT)
    number = page.one("dialog h2").text.removeprefix("Entry ")
    page.click("dialog button", "Quarantine")
    page.one("dialog .pill.bad", "quarantined")
    told = inside.http.get(f"/v1/cache/entries/{number}").json()
    assert told["condition"] == "quarantined"
    page.click("dialog button", "Release")
    page.one("dialog button", "Quarantine")
    page.click("dialog button", "Delete…")
    page.click("dialog.box button.danger", "Delete")
    page.gone("dialog")
    assert inside.http.get(f"/v1/cache/entries/{number}").status_code == 404
    inside.ask(HEIGHT)
    inside.open("entries")
    page.click("button", "Invalidate…")
    page.choose("Model", "m")
    page.click("dialog.box button", "Look what would go")
    page.click("dialog.box button.danger", "Delete")
    page.gone("dialog")
    page.one(".empty", "The cache is empty")


def test_markup_in_questions_and_answers_stays_text(inside: Visit) -> None:
    assert EVIL in inside.ask(EVIL)
    inside.open("entries")
    inside.page.click(".entries .cellbutton", EVIL)
    inside.page.one("dialog .verdict")
    assert EVIL in inside.page.one("dialog").text
    inside.page.click("dialog .icon")
    inside.open("decisions")
    inside.page.one(".decisions tbody tr", EVIL)
    inside.open("overview")
    assert inside.page.run("return window.hacked ?? null") is None
    assert inside.page.run("return document.querySelectorAll('img, script:not([src])').length") == 0


def test_dark_and_light_follow_the_system_until_somebody_chooses(inside: Visit) -> None:
    page = inside.page

    def brightness() -> int:
        colour = page.run("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness() > 600
    page.seen(1280, 900, dark=True)
    assert brightness() < 120
    page.click("#theme")
    assert brightness() > 600
    page.click("#theme")
    page.seen(1280, 900, dark=False)
    assert brightness() < 120
    page.click("#theme")
    assert brightness() > 600
    assert page.one("#theme").get_attribute("aria-label") == "Colours: as the system"


def test_a_phone_needs_no_sideways_scrolling(inside: Visit) -> None:
    inside.ask(HEIGHT, cache="both")
    inside.page.seen(390, 844)
    for view in VIEWS:
        inside.open(view)
        inside.page.until(lambda: not inside.page.all(".note"), f"{view} loaded")
        wide = inside.page.run("return document.documentElement.scrollWidth")
        assert wide <= 390, view
        bottom = inside.page.one("#tabs").rect
        assert bottom["y"] > 700, view
    inside.page.seen(1280, 900)


def test_every_control_has_a_name(inside: Visit) -> None:
    script = """
        return [...document.querySelectorAll("button, a, input, select, textarea, svg[tabindex]")]
          .filter((one) => one.offsetParent !== null || one.tagName === "svg")
          .filter((one) => !(one.ariaLabel || one.getAttribute("aria-label")
            || one.textContent.trim() || one.labels?.[0]?.textContent.trim()))
          .map((one) => one.outerHTML)
    """
    for view in VIEWS:
        inside.open(view)
        inside.page.until(lambda: not inside.page.all(".note"), f"{view} loaded")
        assert inside.page.run(script) == [], view


def test_a_server_that_is_gone_is_said(inside: Visit) -> None:
    page = inside.page
    page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        inside.open("decisions")  # each view asks at once when it is opened
        page.one("#live", "No connection")
    finally:
        page.driver.delete_network_conditions()
    inside.open("overview")
    page.one("#live", "Live")
    page.complaints()  # Chromium reports what failed meanwhile
