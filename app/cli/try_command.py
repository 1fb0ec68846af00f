"""`taskbeacon try`: an agent works on the reader's own repository, in the running development stack.

It is a client of the API like any other. The work comes back as a branch of the reader's repository.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import app
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.cli.database import with_sessions
from app.cli.settings import check_catalog, development_settings, no_stack, stack_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.devstack.errors import INTERRUPTED, DevstackError
from app.devstack.home import Home, read_json
from app.devstack.live_run import create_task, follow_run
from app.devstack.repositories import TrialRepository, copy_repository
from app.devstack.terminal import TerminalOutput
from app.enums import CodeHostKind
from app.models import Integration
from app.security.secrets import Cipher
from app.services.accounts.administration import add_member, create_project
from app.services.accounts.integrations import NewIntegration, create_integration
from taskbeacon.client import AsyncClient, TaskbeaconError
from taskbeacon.client.types import Run

_TITLE_LENGTH = 80
# The default model of an agent. `--model` chooses another, and agents that are not listed need it.
_MODELS = {"claude": "claude-sonnet-5", "codex": "gpt-5.5"}

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


@click.command("try")
@click.argument("repository")
@click.argument("prompt", required=False)
@click.option(
    "--agent",
    help="Agent: claude, codex, … Default: runbook, which executes the code blocks of the prompt.",
)
@click.option("--adapter", hidden=True)  # the former name of `--agent`
@click.option(
    "--model",
    help=f"The agent's model. Default: {', '.join(f'{model} for {name}' for name, model in _MODELS.items())}.",
)
@click.pass_context
def try_command(
    context: click.Context,
    *,
    repository: str,
    prompt: str | None,
    agent: str | None,
    adapter: str | None,
    model: str | None,
) -> None:
    """Let an agent work on REPOSITORY (a folder, URL or organization/repository); get its work as a branch.

    PROMPT is the task; `-` reads it from standard input. `make run` must be running. Your working tree does
    not change.
    """
    home = _running_home()
    settings = development_settings() if home is None else stack_settings(home.root)
    known = check_catalog(settings).choices
    adapter = agent or adapter
    if adapter == DEFAULT_ADAPTER:
        adapter = None
    if adapter is not None and adapter not in known:
        names = ", ".join([*known, DEFAULT_ADAPTER])
        raise click.ClickException(f"no agent is called {adapter!r}; the known ones are {names}")
    if adapter is not None and prompt is None:
        raise click.ClickException(f"give the work for {adapter} as PROMPT")
    model = model or _MODELS.get(adapter or "")
    if adapter is not None and model is None:
        raise click.ClickException(
            f"--model is needed for {adapter}; {', '.join(_MODELS)} have one by default"
        )
    text = DEFAULT_PROMPT if prompt is None else sys.stdin.read() if prompt == "-" else prompt
    if not text.strip():
        raise click.ClickException("say what is to be done: PROMPT is empty")
    if home is None:
        raise click.ClickException(no_stack(settings.home))
    copies = home.root / "repositories"
    try:
        source = TrialRepository.find(copies, repository, base_url=settings.git_base_url)
    except DevstackError as error:
        raise click.ClickException(str(error)) from error
    terminal = TerminalOutput()
    choices = {"runtime_adapter": adapter, "model": model}
    options = {name: value for name, value in choices.items() if value is not None}
    client = _join(home, settings, copies.as_uri())
    context.exit(_work(client, source, terminal, text, options))


def _running_home() -> Home | None:
    settings = development_settings()
    homes = [Home(settings.home)]
    if "home" not in settings.model_fields_set:
        homes.append(Home(Path(app.__file__ or "").absolute().parents[1] / settings.home))
    return next((home for home in homes if home.is_running() and home.dev_json.exists()), None)


def _join(home: Home, settings: Settings, git_url: str) -> AsyncClient:
    dev = read_json(home.dev_json)

    async def work(sessions: SessionFactory) -> int:
        async with unit_of_work(sessions) as session:
            cipher = Cipher(settings.secret_keys)
            return await _find_or_make_project(session, cipher, user_id=dev["user_id"], git_url=git_url)

    return AsyncClient(dev["base_url"], dev["api_key"], with_sessions(settings, work))


async def _find_or_make_project(session: AsyncSession, cipher: Cipher, *, user_id: int, git_url: str) -> int:
    # New tasks use the first integration of their project. In the developer's own project that one would redirect
    # `organization/repository` from `GIT_BASE_URL` to the copies, so the copies have a project of their own.
    project_id = await session.scalar(
        select(Integration.project_id).where(Integration.git_url == git_url).order_by(Integration.id).limit(1)
    )
    if project_id is None:
        project_id = (await create_project(session, "Your repositories")).id
        # Without a token, so that no pull request is attempted: a folder has no API.
        await create_integration(
            session,
            cipher,
            project_id=project_id,
            new=NewIntegration(kind=CodeHostKind.GITHUB, git_url=git_url),
        )
    await add_member(session, project_id=project_id, user_id=user_id)
    return project_id


def _work(
    client: AsyncClient,
    repository: TrialRepository,
    terminal: TerminalOutput,
    prompt: str,
    options: dict[str, str],
) -> int:
    try:
        options["branch"] = copy_repository(repository, terminal)
        title = next((line.strip()[:_TITLE_LENGTH] for line in prompt.splitlines() if line.strip()), "")
        fields = {"title": title, "description": prompt, "repository": repository.name}
        run = asyncio.run(_run_task(client, terminal, fields, options))
        pushed = (run["output"] or {}).get("head_branch")
        if pushed is not None:
            hint = repository.fetch_branch(pushed)
            terminal.line()
            terminal.title(
                f"Branch {pushed}" + (f" is in {repository.source}" if repository.checkout else "")
            )
            terminal.line(f"  {hint}")
        elif run["status"] == "completed":
            terminal.line("  No file was changed.")
    except KeyboardInterrupt:
        terminal.line("Stopped; the run is cancelled.")
        return INTERRUPTED
    except (DevstackError, TaskbeaconError) as error:
        raise click.ClickException(str(error)) from error
    return 0 if run["status"] == "completed" else 1


async def _run_task(client: AsyncClient, terminal: TerminalOutput, fields: Any, options: Any) -> Run:
    async with client:
        task = await create_task(client, terminal, **fields)
        run = (await client.tasks.run(task, **options))["latest_run"]
        assert run is not None
        try:
            return await follow_run(client, terminal, run)
        except asyncio.CancelledError:  # Ctrl-C
            await client.runs.cancel(run)
            raise
