"""A client of a running stack, for the demo and `taskbeacon try`: requests, and the log of a run on the terminal."""

import json
from collections.abc import Callable
from typing import Any, Self

import httpx

from app.devstack.errors import DevstackError
from app.devstack.terminal import Styled, TerminalOutput
from app.enums import TERMINAL_STATUSES, RunStatus
from taskbeacon.cli.live import Transcript, show_verdict
from taskbeacon.client import Client, TaskbeaconError

REQUEST_SECONDS = 30.0
_LOG_ENTRIES = 5000  # of one request
_SHOWN_PATCH_LINES = 30

Object = dict[str, Any]  # Any: JSON


class ProjectClient:
    """Sends requests with an API key; paths are relative to a project's URL. As a context manager it closes itself."""

    def __init__(self, terminal: TerminalOutput, *, base_url: str, project_id: int, api_key: str) -> None:
        self._terminal = terminal
        self._page = f"{base_url}/console/projects/{project_id}"
        self._client = Client(base_url, api_key, project_id, timeout=REQUEST_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, method: str, path: str, /, **body: Any) -> Any:  # Any: JSON
        try:
            return self._client.request(method, path, json=body if method != "GET" else None)
        except TaskbeaconError as error:
            raise DevstackError(f"{method} {path} failed: {error}") from error

    def create_task(self, **fields: str) -> Object:
        """Create a task; print its title and the URL of its page in the console."""
        task: Object = self.request("POST", "tasks/", **fields)
        self._terminal.title(f"Task {task['slug']}: {task['title']}")
        self._terminal.styled_line(f"  {self._page}/tasks/{task['id']}", "dim")
        return task

    def run_task(
        self, task: Object, pause: Callable[[Object], object], **options: Any
    ) -> Object:  # Any: JSON
        """Run a task, print log and result, and return the run; `pause` between two looks. Ctrl-C cancels it."""
        run: Object = self.request("POST", f"tasks/{task['id']}/run/", **options)["latest_run"]
        self._terminal.title(f"Run {run['id']}")
        path = f"tasks/{task['id']}/runs/{run['id']}/"
        try:
            run = self._watch(path, pause)
        except KeyboardInterrupt:
            self.request("PATCH", path, status=RunStatus.CANCELLED)
            raise
        self._show_result(run, path)
        return run

    def _watch(self, path: str, pause: Callable[[Object], object]) -> Object:
        transcript, seen = Transcript(), 0
        while True:
            run: Object = self.request("GET", path)
            while entries := self.request("GET", f"{path}session_logs/?limit={_LOG_ENTRIES}&offset={seen}"):
                seen += len(entries)
                for entry in entries:
                    transcript.show(entry)
            if run["status"] in TERMINAL_STATUSES:
                return run
            pause(run)

    def _show_result(self, run: Object, path: str) -> None:
        is_good = run["status"] == RunStatus.COMPLETED
        self._terminal.line()
        self._terminal.title("Result: ", Styled(run["status"], "green" if is_good else "red"))
        show_verdict(run)
        # The log has shown the summary already.
        said = {"summary", "verification"}
        output = {name: value for name, value in (run["output"] or {}).items() if name not in said}
        for line in json.dumps(output, indent=2, ensure_ascii=False).splitlines() if output else []:
            self._terminal.line(f"  {line}")
        if any(artifact["name"].endswith(".patch") for artifact in run["artifacts"]):
            self._show_patch(self.request("GET", f"{path}diff/")["files"])

    def _show_patch(self, files: list[Object]) -> None:
        self._terminal.line()
        self._terminal.title("Patch")
        lines = "".join(file.get("patch") or "" for file in files).splitlines()
        for line in lines[:_SHOWN_PATCH_LINES]:
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
            self._terminal.styled_line(f"  {line[:160]}", style)
        if len(lines) > _SHOWN_PATCH_LINES:
            self._terminal.styled_line(f"  … {len(lines) - _SHOWN_PATCH_LINES} more lines", "dim")


def send(client: httpx.Client, method: str, path: str, /, **body: Any) -> Any:  # Any: JSON
    """Send a request and return the JSON of the response. Raises DevstackError if it fails."""
    try:
        answer = client.request(method, path, json=body if method != "GET" else None)
    except httpx.HTTPError as error:
        raise DevstackError(f"{method} {path} failed: {error}") from error
    if answer.is_error:
        raise DevstackError(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
    return answer.json()
