"""Swagger UI in a real browser, in the words of who looks at it. Loaded by the one test that needs it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

_WAIT_SECONDS = 100
_POLL_SECONDS = 0.1
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1200,900",
    # One site needs no processes of its own for others, and one page no threads that compile ahead of it.
    "--disable-site-isolation-trials",
    "--disable-features=Translate,IsolateOrigins,site-per-process,SpareRendererForSitePerProcess",
    "--js-flags=--single-threaded --no-opt",
)


@contextmanager
def exploring(program: str, driver: str, profile: Path) -> "Iterator[Explorer]":
    """Open a browser with a profile of its own, and close it at the end of the block."""
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = Chrome(options, ChromeService(driver))
    try:
        yield Explorer(browser)
    finally:
        browser.quit()


class Explorer:
    """A page with Swagger UI in a browser."""

    def __init__(self, browser: Chrome) -> None:
        self._browser = browser
        self._wait = WebDriverWait(browser, _WAIT_SECONDS, _POLL_SECONDS)

    def open(self, url: str) -> None:
        self._browser.get(url)
        self._shown(".opblock")

    def authorize(self, key: str) -> None:
        self._click(".auth-wrapper .authorize")
        self._shown(".auth-container input").send_keys(key)
        self._click(".auth-container .auth-btn-wrapper .authorize")
        self._click(".auth-container .auth-btn-wrapper .btn-done")

    def execute(self, tag: str, operation: str, **parameters: str) -> tuple[int, dict[str, Any]]:
        """Expand an operation, send it as it stands with these parameters, and return status and answer."""
        status, text = self.execute_for_text(tag, operation, **parameters)
        answer: dict[str, Any] = json.loads(text)
        return status, answer

    def execute_for_text(self, tag: str, operation: str, **parameters: str) -> tuple[int, str]:
        """Do as `execute`, and return the answer as the page shows it."""
        block = f"#operations-{tag}-{operation}"
        self._click(f"{block} .opblock-summary-control")
        for name, value in parameters.items():
            self._shown(f"{block} tr[data-param-name={name}] input").send_keys(value)
        self._click(f"{block} .btn.execute")
        # The status in words holds a link; the first line is the number.
        status = int(
            self._shown(f"{block} .live-responses-table .response .response-col_status").text.split()[0]
        )
        return status, self._shown(f"{block} .live-responses-table .response .highlight-code code").text

    def requested_urls(self) -> Iterator[str]:
        """Yield the address of each request that the page has made, by the browser's own account."""
        for entry in self._browser.get_log("performance"):  # type: ignore[no-untyped-call] # Selenium leaves it bare
            message = json.loads(entry["message"])["message"]
            # The browser's start page makes requests of its own.
            if message["method"] == "Network.requestWillBeSent" and not message["params"][
                "documentURL"
            ].startswith("chrome:"):
                yield message["params"]["request"]["url"]

    def complaints(self) -> list[str]:
        """Return the messages of the browser's console about what the page's policy refused."""
        entries = self._browser.get_log("browser")  # type: ignore[no-untyped-call] # Selenium leaves it bare
        return [entry["message"] for entry in entries if "Content Security Policy" in entry["message"]]

    def _shown(self, selector: str) -> WebElement:
        return self._wait.until(
            expected_conditions.visibility_of_element_located((By.CSS_SELECTOR, selector))
        )

    def _click(self, selector: str) -> None:
        self._wait.until(expected_conditions.element_to_be_clickable((By.CSS_SELECTOR, selector))).click()
