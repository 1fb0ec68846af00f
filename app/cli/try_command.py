"""`taskbeacon try`: let an agent work on the reader's own repository."""

import sys
from pathlib import Path

import click

import app
from app.agents.adapters.catalog import DEFAULT_ADAPTER
from app.cli.database import with_sessions
from app.cli.settings import check_catalog, development_settings, no_stack, stack_settings
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.devstack.client import ProjectClient
from app.devstack.errors import DevstackError
from app.devstack.home import Home, read_json
from app.devstack.repositories import TrialRepository
from app.devstack.terminal import TerminalOutput
from app.devstack.trial import DEFAULT_PROMPT, MODELS, Trial, find_or_make_project, run_trial
from app.security import Cipher


@click.command("try")
@click.argument("repository")
@click.argument("prompt", required=False)
@click.option(
    "--adapter",
    help="Agent: claude, codex, … Default: runbook, which executes the code blocks of the prompt.",
)
@click.option(
    "--model",
    help=f"The agent's model. Default: {', '.join(f'{model} for {name}' for name, model in MODELS.items())}.",
)
@click.pass_context
def try_command(
    context: click.Context, repository: str, prompt: str | None, adapter: str | None, model: str | None
) -> None:
    """Let an agent work on REPOSITORY (a folder, URL or organization/repository); get its work as a branch.

    PROMPT is the task; `-` reads it from standard input. `make run` must be running. Your working tree does
    not change.
    """
    home = _running_home()
    settings = development_settings() if home is None else stack_settings(home.root)
    known = check_catalog(settings).choices
    if adapter == DEFAULT_ADAPTER:
        adapter = None
    if adapter is not None and adapter not in known:
        names = ", ".join([*known, DEFAULT_ADAPTER])
        raise click.UsageError(f"no adapter is called {adapter!r}; the known ones are {names}.")
    if adapter is not None and prompt is None:
        raise click.UsageError(f"give the work for {adapter} as PROMPT.")
    model = model or MODELS.get(adapter or "")
    if adapter is not None and model is None:
        raise click.UsageError(f"--model is needed for {adapter}; {', '.join(MODELS)} have one by default.")
    if home is None:
        raise click.ClickException(no_stack(settings.home))
    text = sys.stdin.read() if prompt == "-" else prompt or DEFAULT_PROMPT
    copies = home.root / "repositories"
    try:
        source = TrialRepository.find(copies, repository, base_url=settings.git_base_url)
    except DevstackError as error:
        raise click.ClickException(str(error)) from error
    terminal = TerminalOutput()
    with _join(terminal, home, settings, copies.as_uri()) as client:
        wanted = Trial(prompt=text, adapter=adapter, model=model)
        context.exit(run_trial(client, source, wanted, terminal))


def _running_home() -> Home | None:
    settings = development_settings()
    homes = [Home(settings.home)]
    if "home" not in settings.model_fields_set:
        homes.append(Home(Path(app.__file__ or "").absolute().parents[1] / settings.home))
    for home in homes:
        if home.is_running() and home.dev_json.exists():
            return home
    return None


def _join(terminal: TerminalOutput, home: Home, settings: Settings, git_url: str) -> ProjectClient:
    dev = read_json(home.dev_json)

    async def work(sessions: SessionFactory) -> int:
        async with unit_of_work(sessions) as session:
            cipher = Cipher(settings.secret_keys)
            return await find_or_make_project(session, cipher, user_id=dev["user_id"], git_url=git_url)

    project_id = with_sessions(settings, work)
    return ProjectClient(terminal, base_url=dev["base_url"], project_id=project_id, api_key=dev["api_key"])
