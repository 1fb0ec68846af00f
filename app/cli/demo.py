"""`taskbeacon demo`: the main job, shown from end to end."""

import click

from app.cli.privacy import hide_environment
from app.devstack.demo.demo import run_demo


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Perform one task on a real git repository, in a development stack of its own."""
    hide_environment()
    context.exit(run_demo())
