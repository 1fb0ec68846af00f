"""`taskbeacon worker`: the process that performs runs."""

import click

from app.agents.errors import SandboxUnavailable
from app.cli.database import check_clock_and_schema
from app.cli.hidden_environment import hide_environment
from app.cli.settings import check_catalog, service_settings, warn_of_unknown_variables
from app.config import Settings
from app.worker.main import run_worker


@click.command()
def worker() -> None:
    """Run a worker, the process that performs runs of agents.

    On SIGTERM or Ctrl-C it claims no more runs, and ends when those in progress have finished or a time limit is
    over.
    """
    hide_environment()
    settings = service_settings()
    warn_of_unknown_variables()
    check_catalog(settings)
    check_clock_and_schema(settings)
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
