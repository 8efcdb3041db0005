"""A real headless Chromium, by its own driver; skips where there is none.

`apt-get install chromium chromium-driver` brings both; nothing is downloaded when a test runs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_DRIVER = shutil.which("chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_S = 30.0


class Page:
    """What a person does with the page: look for text, click, type. Waits for what must come."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def until(self, found: Callable[[], T], what: str) -> T:
        """The first true value; fails with `what` and what the page shows."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                value = found()
            except StaleElementReferenceException:
                value = None
            if value:
                return value
            time.sleep(0.03)
        shown = self.driver.find_element(By.TAG_NAME, "body").text
        raise AssertionError(f"{what} never came. The page shows:\n{shown}")

    def all(self, css: str) -> list[WebElement]:
        """The elements that are there now."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str, text: str = "") -> WebElement:
        """The first element that shows this text."""
        return self.until(
            lambda: [e for e in self.all(css) if text in e.text and e.is_displayed()],
            f"{css} with '{text}'",
        )[0]

    def gone(self, css: str, text: str = "") -> None:
        """Wait until no element shows this text."""
        self.until(lambda: not [e for e in self.all(css) if text in e.text], f"no {css} '{text}'")

    def click(self, css: str, text: str = "") -> None:
        """Click the first element that shows this text."""
        self.until(lambda: self._clicked(css, text), f"a click on {css} '{text}'")

    def _clicked(self, css: str, text: str) -> bool:
        self.one(css, text).click()
        return True

    def type(self, css: str, text: str) -> None:
        """Replace what a field holds."""
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def choose(self, label: str, value: str) -> None:
        """Choose in the select of this label."""
        script = """
            const [label, value] = arguments;
            const named = (one) => one.getAttribute("aria-label") ?? one.labels[0].textContent;
            const every = [...document.querySelectorAll("select")].reverse();
            const select = every.find((one) => named(one).startsWith(label));
            select.value = value;
            select.dispatchEvent(new Event("change", { bubbles: true }));
            return select.value === value;
        """
        assert self.driver.execute_script(script, label, value)

    def run(self, script: str) -> Any:
        """The value of a script."""
        return self.driver.execute_script(script)

    def seen(self, width: int, height: int, *, dark: bool = False) -> None:
        """Look with another screen."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        wanted = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})

    def asked_for(self) -> Iterator[str]:
        """The addresses of all requests since the last call."""
        for line in cast(Any, self.driver).get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                yield str(message["params"]["request"]["url"])

    def complaints(self) -> list[str]:
        """What the console says since the last call."""
        return [str(line["message"]) for line in cast(Any, self.driver).get_log("browser")]


@contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile in this folder."""
    if _CHROMIUM is None or _DRIVER is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = _CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(_DRIVER))
    try:
        yield Page(driver)
    finally:
        driver.quit()
