"""`taskbeacon demo`: one task, shown from end to end."""

import click

from app.cli.hidden_environment import hide_environment
from app.devstack.demo import run_demo


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Show the work on one task from start to finish, with a real git repository, in a separate development stack."""
    hide_environment()
    context.exit(run_demo())
