"""`taskbeacon dev`: the embedded development stack in the foreground."""

import click

from app.cli.hidden_environment import hide_environment
from app.cli.settings import development_settings
from app.devstack.stack import run_dev


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar="PORT",
    show_envvar=True,
    help="Port of the API, 0 for any free one. Default: TASKBEACON_PORT, else 8000.",
)
@click.pass_context
def dev(context: click.Context, port: int | None) -> None:
    """Run a development stack (embedded servers, API and worker) until Ctrl-C or SIGTERM."""
    hide_environment()
    values = {} if port is None else {"port": port}
    context.exit(run_dev(development_settings(**values)))
