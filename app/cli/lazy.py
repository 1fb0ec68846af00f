"""A group of commands that imports a command when it is called, and reports a usage error on one line."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from typing_extensions import override

from app.cli.serving.loading import defer_garbage_collection


class _Misuse(click.ClickException):
    """A wrong command line, reported without click's usage lines."""

    exit_code = 2


class LazyGroup(click.Group):
    """A click group that imports the module of a subcommand only when the subcommand is called."""

    def __init__(
        self,
        name: str,
        *,
        commands: Mapping[str, tuple[str, str]],
        **attributes: Any,  # of any click group
    ) -> None:
        super().__init__(name, **attributes)
        self._locations = {command: location for command, (location, _) in commands.items()}
        self._summaries = {command: summary for command, (_, summary) in commands.items()}

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._locations)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        location = self._locations.get(cmd_name)
        if location is None:
            return None
        module, _, attribute = location.partition(":")
        with defer_garbage_collection():
            command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            message = " ".join(error.format_message().split()).removesuffix(".")
            location = error.ctx.command_path if error.ctx else ctx.command_path
            raise _Misuse(f"{message} (see {location} --help)") from error
