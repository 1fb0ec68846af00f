"""`taskbeacon worker`: the process that performs runs."""

import click

from app.agents.errors import SandboxUnavailable
from app.cli.database import checked_settings
from app.cli.hidden_environment import hide_environment
from app.config import Settings
from app.worker.main import run_worker


@click.command()
def worker() -> None:
    """Run a worker, the process that performs runs of agents.

    On SIGTERM or Ctrl-C it claims no more runs, and ends when those in progress have finished or a time limit is
    over.
    """
    hide_environment()
    settings = checked_settings()
    _make_workspaces(settings)
    try:
        run_worker(settings)
    except SandboxUnavailable as error:
        raise click.ClickException(error.message) from error


def _make_workspaces(settings: Settings) -> None:
    folder = settings.workspaces_path
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        # In a container the home folder is often mounted from the machine and owned by root.
        raise click.ClickException(f"cannot make the folder {folder}: {error.strerror}") from error
