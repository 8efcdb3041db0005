"""A visit to the dashboard: the page, the server behind it, and who answers there."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from tests.scripted import ScriptedAnswerer
from tests.server.browser import Page


@dataclass(frozen=True)
class Visit:
    page: Page
    http: httpx2.Client
    answerer: ScriptedAnswerer

    @property
    def url(self) -> str:
        return f"{self.http.base_url}/dashboard".replace("//dashboard", "/dashboard")

    def open(self, view: str) -> None:
        self.page.run(f"location.hash = '{view}'")
        self.page.one(f".view-{view} .card")

    def ask(self, text: str, cache: str = "with") -> str:
        """Ask in the pane; the text of the newest card once its answer is whole."""
        page = self.page
        self.open("ask")
        page.until(lambda: page.all(".options option[value='m']"), "the models")
        page.type("#question", text)
        page.choose("Cache", cache)
        before = len(page.all(".run"))
        page.click("button", "Ask")
        page.until(lambda: len(page.all(".run")) > before, "an answer's card")
        page.until(lambda: "Whole answer" in page.all(".run")[0].text, "the whole answer")
        return page.all(".run")[0].text
