"""A client of a running stack, for the demo and `taskbeacon try`: requests, and results on the terminal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.devstack.errors import DevstackError
from app.devstack.run_log import RunLog
from app.devstack.terminal import Styled, TerminalOutput
from app.enums import RunStatus

REQUEST_SECONDS = 30.0
_SHOWN_PATCH_LINES = 30


def project_client(base_url: str, project_id: int, api_key: str) -> httpx.Client:
    """Return an HTTP client that sends the API key, for requests with paths relative to the project's URL."""
    return httpx.Client(
        base_url=f"{base_url}/api/projects/{project_id}/",
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=REQUEST_SECONDS,
        trust_env=False,  # no proxy between us and our own API
    )


def request(client: httpx.Client, method: str, path: str, /, **body: Any) -> dict[str, Any]:  # Any: JSON
    """Send a request with `body` as JSON, and return the JSON object of the response. A GET request has no body."""
    with failures_as_devstack_errors(f"{method} {path} failed"):
        answer = client.request(method, path, json=body if method != "GET" else None)
    if answer.is_error:
        raise DevstackError(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
    value: dict[str, Any] = answer.json()
    return value


@contextmanager
def failures_as_devstack_errors(what: str) -> Iterator[None]:
    """Turn an HTTP failure in the block into a DevstackError with a message that begins with `what`."""
    try:
        yield
    except httpx.HTTPError as error:
        raise DevstackError(f"{what}: {error}") from error


def create_task(
    terminal: TerminalOutput, client: httpx.Client, *, title: str, description: str, repository: str
) -> dict[str, Any]:
    """Create a task through the API, and return it as JSON. Print its title and the URL of its page in the console."""
    task = request(client, "POST", "tasks/", title=title, description=description, repository=repository)
    terminal.title(f"Task {task['slug']}: {task['title']}")
    project = client.base_url.path.removeprefix("/api")
    page = client.base_url.join(f"/console{project}tasks/{task['id']}")
    terminal.styled_line(f"  {page}", "dim")
    return task


def show_progress(log: RunLog, client: httpx.Client, plain: httpx.Client, path: str) -> dict[str, Any]:
    """Print the entries of a run's log that `log` has not printed yet, and return the run as JSON."""
    run = request(client, "GET", path)
    if run["log_url"]:
        log.show_new(plain, run["log_url"])
    return run


def show_result(terminal: TerminalOutput, run: dict[str, Any]) -> None:
    """Print the status of a run and its output, such as the branch and the changed files."""
    good = run["status"] == RunStatus.COMPLETED
    terminal.line()
    terminal.title("Result: ", Styled(run["status"], "green" if good else "red"))
    output = {name: value for name, value in (run["output"] or {}).items() if name != "summary"}
    if output:
        for line in json.dumps(output, indent=2, ensure_ascii=False).splitlines():
            terminal.line(f"  {line}")


def read_patch(
    client: httpx.Client, plain: httpx.Client, run: dict[str, Any], path: str
) -> tuple[dict[str, Any], str] | None:
    """Return the artifact with a run's patch, and the text of the patch, or None if the run has no patch."""
    artifact = next((artifact for artifact in run["artifacts"] if artifact["name"].endswith(".patch")), None)
    if artifact is None:
        return None
    signed = request(client, "POST", f"{path}artifacts/presign/", storage_path=artifact["storage_path"])
    with failures_as_devstack_errors("the patch cannot be read"):
        answer = plain.get(signed["url"]).raise_for_status()
    return artifact, answer.text


def show_patch(terminal: TerminalOutput, artifact: dict[str, Any], text: str) -> None:
    """Print the name and the size of a patch artifact, and the first 30 lines of its text."""
    lines = text.splitlines()
    terminal.line()
    terminal.title(f"Patch ({artifact['name']}, {artifact['size']} bytes)")
    for line in lines[:_SHOWN_PATCH_LINES]:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
        terminal.styled_line(f"  {line[:160]}", style)
    if len(lines) > _SHOWN_PATCH_LINES:
        terminal.styled_line(f"  … {len(lines) - _SHOWN_PATCH_LINES} more lines", "dim")
