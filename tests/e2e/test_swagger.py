"""The explorer as a person uses it: a real browser, the real API, and nothing from outside."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import Api
from tests.support.callers import bearer

if TYPE_CHECKING:
    from tests.e2e.explorer import Explorer

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def explorer(tmp_path: Path) -> "Iterator[Explorer]":
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not (program and driver) and not os.environ.get("CI"):
        pytest.skip("neither Chromium nor its driver is installed (Debian: chromium, chromium-driver)")
    assert program is not None, "no Chromium"
    assert driver is not None, "no chromedriver"
    from tests.e2e.explorer import exploring  # noqa: PLC0415 - Selenium, which every process would load

    with exploring(program, driver, tmp_path / "profile") as explorer:
        yield explorer


def append(base_url: str, key: str, *, task_id: str, run_id: str) -> None:
    """Append an entry to the log of a run without the page, which takes seconds to show an operation."""
    url = f"{base_url}/api/projects/@current/tasks/{task_id}/runs/{run_id}/append_log"
    body = {"entries": [{"type": "notification"}]}
    httpx.post(url, json=body, headers=bearer(key), timeout=60).raise_for_status()


def test_person_creates_and_runs_a_task_in_the_browser_and_nothing_comes_from_outside(
    explorer: "Explorer", api: Api, key: str
) -> None:
    base_url = api.base_url
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

    # The log is text on the page, not a file to download.
    ids = {"task_id": task["id"], "run_id": answer["latest_run"]["id"]}
    append(base_url, key, **ids)
    status, log = explorer.execute_for_text("runs", "tasks_runs_logs_retrieve", **ids)
    assert status == 200
    assert log.startswith('{"type":"notification"')

    assert explorer.complaints() == []
    urls = list(explorer.requested_urls())
    assert f"{base_url}/openapi.json" in urls
    origins = {urlsplit(url)[:2] for url in urls if not url.startswith(("data:", "blob:"))}
    assert origins == {urlsplit(base_url)[:2]}
