"""`taskbeacon worker`: the process that performs runs."""

import gc

import click

from app.cli.database import check_schema
from app.cli.settings import check_catalog, service_settings
from app.observability import configure_logging
from app.worker.main import run_worker

__all__ = ["worker"]


@click.command()
def worker() -> None:
    """Run a worker, which performs runs.

    On SIGTERM or Ctrl-C it takes no further run and lets those in progress finish for a while.
    """
    settings = service_settings()
    configure_logging(settings.log_format, settings.log_level)
    check_catalog(settings)
    check_schema(settings)
    # As in the API: what is loaded by now stays until the end, and need not be looked through again and again.
    gc.freeze()
    run_worker(settings)
