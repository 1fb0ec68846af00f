"""The `taskbeacon` command, also `python -m app.cli`."""

import click

from app import __version__
from app.cli.lazy import LazyGroup

main = LazyGroup(
    "taskbeacon",
    help="Run coding agents on tasks: the API, its workers, and their administration.",
    commands={
        "serve": ("app.cli.serve:serve", "Run the API."),
        "worker": ("app.cli.worker:worker", "Run a worker, which performs runs."),
        "agents": ("app.cli.agents:agents", "List the agents of this machine, and which of them answer."),
        "migrate": ("app.cli.migrate:migrate", "Migrate the database to the schema of this release."),
        "dev": ("app.cli.dev:dev", "Run the whole development stack in the foreground (make run)."),
        "demo": ("app.cli.demo:demo", "Show one task from end to end, on a real git repository (make demo)."),
        "try": (
            "app.cli.try_command:try_command",
            "Let an agent work on your own repository; needs `make run`.",
        ),
        "console": ("app.cli.console:console", "Print a link that signs a browser in to the console."),
        "openapi": ("app.cli.openapi:openapi", "Print the description of the API as JSON."),
        "admin": ("app.cli.admin:admin", "Manage accounts, keys and integrations; prints JSON."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, message="%(prog)s %(version)s")(main)
