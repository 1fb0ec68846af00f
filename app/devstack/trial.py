"""`taskbeacon try`: an agent works on the reader's own repository, in the running development stack.

It is a client of the API like any other. The work comes back as a branch of the reader's repository.
"""

import time
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.devstack.client import ProjectClient
from app.devstack.errors import DevstackError
from app.devstack.repositories import TrialRepository
from app.devstack.terminal import TerminalOutput
from app.enums import CodeHostKind, RunStatus
from app.models import Integration
from app.security import Cipher
from app.services.accounts.accounts import add_member, create_project
from app.services.accounts.integrations import NewIntegration, create_integration

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
class Trial:
    """The arguments of `taskbeacon try`: the prompt, the agent (None: the built-in one) and its model."""

    prompt: str
    adapter: str | None = None
    model: str | None = None


def run_trial(
    client: ProjectClient, repository: TrialRepository, trial: Trial, terminal: TerminalOutput
) -> int:
    """Let an agent work on a repository, and fetch the branch with its work. Return an exit status."""
    try:
        return _perform(client, repository, trial, terminal)
    except DevstackError as error:
        terminal.error(error)
        return 1


def _perform(
    client: ProjectClient, repository: TrialRepository, trial: Trial, terminal: TerminalOutput
) -> int:
    with terminal.step(f"Copying {repository.source}"):
        branch = repository.copy()
    if repository.has_changes():
        terminal.styled_line("    Changes that are not committed stay out of it.", "dim")
    title = next((line.strip()[:_TITLE_LENGTH] for line in trial.prompt.splitlines() if line.strip()), "")
    task = client.create_task(title=title, description=trial.prompt, repository=repository.name)
    options = {"runtime_adapter": trial.adapter, "model": trial.model, "branch": branch}
    given = {name: value for name, value in options.items() if value is not None}
    run = client.request("POST", f"tasks/{task['id']}/run/", **given)["latest_run"]
    path = f"tasks/{task['id']}/runs/{run['id']}/"
    try:
        run = client.watch(path, lambda _: time.sleep(_POLL_SECONDS))  # the service ends every run
    except KeyboardInterrupt:
        client.request("PATCH", path, status=RunStatus.CANCELLED)
        terminal.line("Stopped; the run is cancelled.")
        return _INTERRUPTED
    client.show_result(run, path)
    if run["error_message"]:
        terminal.line(f"  {run['error_message']}")
    pushed = (run["output"] or {}).get("head_branch")
    if pushed is not None:
        hint = repository.fetch_branch(pushed)
        terminal.line()
        terminal.title(f"Branch {pushed}" + (f" is in {repository.source}" if repository.checkout else ""))
        terminal.line(f"  {hint}")
    elif run["status"] == RunStatus.COMPLETED:
        terminal.line("  No file was changed.")
    return 0 if run["status"] == RunStatus.COMPLETED else 1


async def find_or_make_project(session: AsyncSession, cipher: Cipher, *, user_id: int, git_url: str) -> int:
    """Return the id of the project that clones its repositories from `git_url`, with the user as a member.

    It is a project apart, because new tasks use the first integration of their project: in the developer's own,
    `organization/repository` must still be cloned from `GIT_BASE_URL`.
    """
    project_id = await session.scalar(
        select(Integration.project_id).where(Integration.git_url == git_url).order_by(Integration.id).limit(1)
    )
    if project_id is None:
        project_id = (await create_project(session, "Your repositories")).id
        # Without a token, and a folder has no API: no pull request is attempted.
        await create_integration(
            session,
            cipher,
            project_id=project_id,
            new=NewIntegration(kind=CodeHostKind.GITHUB, git_url=git_url),
        )
    await add_member(session, project_id=project_id, user_id=user_id)
    return project_id
