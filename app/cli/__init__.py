"""The `taskbeacon` command, also `python -m app.cli`."""

from importlib import import_module
from typing import IO, Any

import click
from typing_extensions import override

from app import __version__
from app.cli.serving.loading import defer_garbage_collection

_COMMANDS = {
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
}


class _Misuse(click.ClickException):
    """A wrong command line, reported without click's usage lines."""

    exit_code = 2


class _Refusal(_Misuse):
    """A refusal of `try`, reported as the client's commands report theirs."""

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"taskbeacon: {self.format_message()}", err=True)


class _Taskbeacon(click.Group):
    """The group of commands, of which it imports only the one that is called."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        with defer_garbage_collection():
            command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.ClickException as error:
            message, is_of_try = error.message, ctx.invoked_subcommand == "try"
            if isinstance(error, click.UsageError):
                location = error.ctx.command_path if error.ctx else ctx.command_path
                message = (
                    " ".join(error.format_message().split()).removesuffix(".") + f" (see {location} --help)"
                )
            elif not is_of_try:
                raise
            raise (_Refusal if is_of_try else _Misuse)(message) from error


main = _Taskbeacon(
    "taskbeacon",
    help="Run coding agents on tasks: the API, its workers, and their administration.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, message="%(prog)s %(version)s")(main)
