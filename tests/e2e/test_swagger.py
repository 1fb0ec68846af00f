"""The explorer as a person uses it: a real browser, the real API, and nothing from outside."""

import json
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.conftest import Api

_WAIT_SECONDS = 30
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1400,2000",
)


@pytest.fixture
def browser(tmp_path: Path) -> Generator[Chrome, None, None]:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not (program and driver) and not os.environ.get("CI"):
        pytest.skip("neither Chromium nor its driver is installed (Debian: chromium, chromium-driver)")
    assert program is not None, "no Chromium"
    assert driver is not None, "no chromedriver"
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    browser = Chrome(options, ChromeService(driver))
    yield browser
    browser.quit()


class Explorer:
    """Swagger UI, in the words of who looks at it."""

    def __init__(self, browser: Chrome) -> None:
        self._browser = browser
        self._wait = WebDriverWait(browser, _WAIT_SECONDS)

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
        block = f"#operations-{tag}-{operation}"
        self._click(f"{block} .opblock-summary-control")
        for name, value in parameters.items():
            self._shown(f"{block} tr[data-param-name={name}] input").send_keys(value)
        self._click(f"{block} .btn.execute")
        # The status in words holds a link; the first line is the number.
        status = int(
            self._shown(f"{block} .live-responses-table .response .response-col_status").text.split()[0]
        )
        answer: dict[str, Any] = json.loads(
            self._shown(f"{block} .live-responses-table .response .highlight-code code").text
        )
        return status, answer

    def requested_urls(self) -> Iterator[str]:
        """Yield the address of each request that the page has made, by the browser's own account."""
        for entry in self._browser.get_log("performance"):  # type: ignore[no-untyped-call] # Selenium leaves it bare
            message = json.loads(entry["message"])["message"]
            # The browser's start page makes requests of its own.
            if message["method"] == "Network.requestWillBeSent" and not message["params"][
                "documentURL"
            ].startswith("chrome:"):
                yield message["params"]["request"]["url"]

    def _shown(self, selector: str) -> WebElement:
        return self._wait.until(
            expected_conditions.visibility_of_element_located((By.CSS_SELECTOR, selector))
        )

    def _click(self, selector: str) -> None:
        self._wait.until(expected_conditions.element_to_be_clickable((By.CSS_SELECTOR, selector))).click()


def test_person_creates_and_runs_a_task_in_the_browser_and_nothing_comes_from_outside(
    browser: Chrome, api: Api, key: str
) -> None:
    base_url = api.base_url
    explorer = Explorer(browser)
    explorer.open(f"{base_url}/docs")
    explorer.authorize(key)
    # The key survives a reload.
    explorer.open(f"{base_url}/docs")

    status, task = explorer.execute("tasks", "tasks_create")
    assert status == 201
    assert task["title"] == "Say hello"
    assert task["latest_run"] is None

    status, answer = explorer.execute("runs", "tasks_run_create", task_id=task["id"])
    assert status == 200
    assert answer["id"] == task["id"]
    assert answer["latest_run"]["status"] == "queued"

    urls = list(explorer.requested_urls())
    assert f"{base_url}/openapi.json" in urls
    origins = {urlsplit(url)[:2] for url in urls if not url.startswith(("data:", "blob:"))}
    assert origins == {urlsplit(base_url)[:2]}
