"""`taskbeacon try`: an agent works on the reader's own repository, in the running development stack.

It is a client of the API like any other. The work comes back as a branch of the reader's repository.
"""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from app.devstack.api_client import (
    REQUEST_SECONDS,
    create_task,
    project_client,
    read_patch,
    request,
    show_patch,
    show_progress,
    show_result,
)
from app.devstack.errors import DevstackError
from app.devstack.run_log import RunLog
from app.devstack.terminal import TerminalOutput
from app.devstack.trial.repository import TrialRepository
from app.enums import TERMINAL_STATUSES, RunStatus

_INTERRUPTED = 130
_POLL_SECONDS = 0.3
_TITLE_LENGTH = 80
# Default models, which are printed; every agent accepts others by --model.
MODELS = {"claude": "claude-sonnet-5", "codex": "gpt-5.5"}

DEFAULT_PROMPT = """\
Write a map of the repository: how many files of which kind lie in which folder.

```sh
# Count the files by folder and kind.
{
    echo "# Map of the repository"
    echo
    git ls-files -z | tr '\\n\\0' ' \\n' | awk -F/ '{
        folder = NF > 1 ? $1 "/" : "(top)"
        kind = match($NF, /\\.[^.]+$/) ? substr($NF, RSTART) : "(none)"
        count[folder " " kind]++
    } END { for (place in count) printf "- %s: %d\\n", place, count[place] }' | sort
} > REPOSITORY-MAP.md
head -20 REPOSITORY-MAP.md
```

```say
REPOSITORY-MAP.md is written.
```
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """A running development stack, as seen by a client: its URL, the developer's project and the API key."""

    base_url: str
    api_key: str
    project_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The arguments of `taskbeacon try`: the prompt, the agent and its model."""

    prompt: str
    adapter: str | None = None  # None: the built-in one
    model: str | None = None


def run_trial(
    stack: RunningStack, repository: TrialRepository, trial: Trial, terminal: TerminalOutput
) -> int:
    """Let an agent work on a repository, and fetch the branch with its work. Return an exit status."""
    try:
        return _perform(stack, repository, trial, terminal)
    except DevstackError as error:
        terminal.error(error)
        return 1


def _perform(stack: RunningStack, repository: TrialRepository, trial: Trial, terminal: TerminalOutput) -> int:
    with terminal.step(f"Copying {repository.source}"):
        branch = repository.copy()
    if repository.has_changes():
        terminal.styled_line("    Changes that are not committed stay out of it.", "dim")
    with (
        project_client(stack.base_url, stack.project_id, stack.api_key) as client,
        httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as plain,
    ):
        task = create_task(
            terminal,
            client,
            title=_title(trial.prompt),
            description=trial.prompt,
            repository=repository.name,
        )
        options = {"runtime_adapter": trial.adapter, "model": trial.model, "branch": branch}
        given = {name: value for name, value in options.items() if value is not None}
        run = request(client, "POST", f"tasks/{task['id']}/run/", **given)["latest_run"]
        path = f"tasks/{task['id']}/runs/{run['id']}/"
        try:
            run = _follow(terminal, client, plain, path)
        except KeyboardInterrupt:
            request(client, "PATCH", path, status=RunStatus.CANCELLED)
            terminal.line("Stopped; the run is cancelled.")
            return _INTERRUPTED
        patch = read_patch(client, plain, run, path)
        if patch is not None and patch[1]:
            show_patch(terminal, *patch)
    return _show_end(terminal, repository, run)


def _title(prompt: str) -> str:
    return next((line.strip()[:_TITLE_LENGTH] for line in prompt.splitlines() if line.strip()), "")


def _follow(terminal: TerminalOutput, client: httpx.Client, plain: httpx.Client, path: str) -> dict[str, Any]:
    log = RunLog(terminal)
    while True:
        run = show_progress(log, client, plain, path)
        if run["status"] in TERMINAL_STATUSES:
            return run
        time.sleep(_POLL_SECONDS)


def _show_end(terminal: TerminalOutput, repository: TrialRepository, run: dict[str, Any]) -> int:
    show_result(terminal, run)
    if run["error_message"]:
        terminal.line(f"  {run['error_message']}")
    branch = (run["output"] or {}).get("head_branch")
    if branch is not None:
        hint = repository.fetch_branch(branch)
        terminal.line()
        terminal.title(f"Branch {branch}" + (f" is in {repository.source}" if repository.checkout else ""))
        terminal.line(f"  {hint}")
    elif run["status"] == RunStatus.COMPLETED:
        terminal.line("  No file was changed.")
    return 0 if run["status"] == RunStatus.COMPLETED else 1
