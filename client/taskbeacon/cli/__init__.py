"""The command `taskbeacon`. It loads a verb when that is called, and the HTTP library when a request is sent."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from threading import Thread, Timer
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click
from typing_extensions import override

from taskbeacon import __version__
from taskbeacon.cli import failures, output

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_WIDEST_HELP = 100
# The command ends within a second of a signal, whatever is still to be done.
_STOP_SECONDS = 0.9
SERVER_GROUP = "taskbeacon.commands"
# By name: the module and object of each verb, and its help.
_COMMANDS = {
    "Tasks and runs": {
        "task": ("taskbeacon.cli.tasks:task", "Create and find tasks."),
        "run": ("taskbeacon.cli.runs:run", "Start, follow and steer runs; get what they bring."),
    },
    "Attention": {
        "inbox": ("taskbeacon.cli.inbox:inbox", "List the questions that wait for you."),
        "answer": ("taskbeacon.cli.inbox:answer", "Answer a question."),
    },
    "Integrations": {
        "events": ("taskbeacon.cli.events:events", "Listen to events, and forward them."),
        "api": ("taskbeacon.cli.api:api", "Send any request."),
    },
    "Account": {
        "login": ("taskbeacon.cli.account:login", "Sign in to a server."),
        "logout": ("taskbeacon.cli.account:logout", "Forget the key."),
        "status": ("taskbeacon.cli.account:status", "Show server, project and person."),
        "completion": ("taskbeacon.cli.account:completion", "Print the completion of a shell."),
        "version": ("taskbeacon.cli.account:version", "Print the version."),
        "help": ("taskbeacon.cli.account:help_", "Explain a command, or the exit codes."),
    },
}
# Verbs of the server's distribution, which has an entry point for each. Others are typing errors.
_SERVER = {
    "Operate this server": ("serve", "worker", "migrate", "admin", "agents", "console", "openapi"),
    "Try it": ("dev", "demo", "try"),
}


class _Formatter(click.HelpFormatter):
    """Leaves room for the help of options, in narrow windows too."""

    @override
    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, (self.width - 2) // 3), col_spacing)


click.Context.formatter_class = _Formatter


class Taskbeacon(click.Group):
    """The group of all verbs, those of the server included where it is installed."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*(name for section in _COMMANDS.values() for name in section), *_server_commands()]

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in _COMMANDS.values():
            if cmd_name in section:
                module, _, attribute = section[cmd_name][0].partition(":")
                command: click.Command = getattr(import_module(module), attribute)
                return command
        if found := _server_commands().get(cmd_name):
            group: click.Group = found.load()
            return group.get_command(ctx, cmd_name)
        if any(cmd_name in names for names in _SERVER.values()):
            raise failures.usage(f"`{cmd_name}` is a command of the server: pip install 'taskbeacon[server]'")
        return None

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in _COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])
        installed = _server_commands()
        for title, names in _SERVER.items():
            if shown := [name for name in names if name in installed]:
                with formatter.section(title):
                    # Without their help texts: their modules take long to load.
                    formatter.write_text(", ".join(shown))


def _server_commands() -> "dict[str, EntryPoint]":
    if find_spec("app") is None:
        return {}
    from importlib.metadata import entry_points  # noqa: PLC0415 - takes as long to load as click

    return {point.name: point for point in entry_points(group=SERVER_GROUP)}


main = Taskbeacon(
    "taskbeacon",
    help="Give tasks to coding agents, and follow what they do.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, message="%(prog)s %(version)s")(main)


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command of this process, and end the process with its exit code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    is_of_server = any(name in names for name in arguments[:1] for names in _SERVER.values())
    if is_of_server and (of_server := _server_commands().get(arguments[0])):
        # It handles signals and errors itself.
        sys.exit(of_server.load().main(list(arguments), "taskbeacon", terminal_width=_width()))
    codes: list[int] = []
    # In the main thread a signal would interrupt libraries, also where they hold a lock that they then wait for.
    command = Thread(target=lambda: codes.append(perform(arguments)), name="command", daemon=True)
    try:
        _on_signals(_stop)
        command.start()
        command.join()
    except failures.Failure as failure:
        Timer(_STOP_SECONDS, os._exit, [failure.exit_code]).start()
        for each in failures.at_stop:
            each(failure)
        with suppress(OSError):
            failures.tell(failure, as_json=_wants_json(arguments))
        os._exit(failure.exit_code)
    sys.exit(codes[0] if codes else failures.DEFECT)


def perform(arguments: Sequence[str]) -> int:
    """Run a command; return its exit code. Signals are for the caller."""
    as_json = _wants_json(arguments)
    if os.environ.get("TASKBEACON_DEBUG") == "api":
        import logging  # noqa: PLC0415 - for this alone

        logging.basicConfig(format="%(message)s")
        logging.getLogger("taskbeacon.client").setLevel(logging.DEBUG)
    try:
        "".join(arguments).encode()  # no request could carry what is not UTF-8
        code = main.main(list(arguments), "taskbeacon", standalone_mode=False, terminal_width=_width())
    except click.exceptions.NoArgsIsHelpError as error:
        output.note(error.format_message())
        return failures.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except SystemExit as error:
        return int(error.code or failures.DONE)
    except (BrokenPipeError, output.OutputClosed):
        _drop_output()
        return failures.DONE
    except BaseException as error:
        failure = failures.failure_of(error)
        if failure is None:
            raise
        if isinstance(error, OSError):
            _drop_output()
        with suppress(OSError):
            failures.tell(failure, as_json=as_json)
        return failure.exit_code
    return code if isinstance(code, int) else failures.DONE


def _width() -> int:
    # click's own is at least 50.
    return min(output.width(), _WIDEST_HELP)


def _wants_json(arguments: Sequence[str]) -> bool:
    own = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return any(each == "--json" or each.startswith("--json=") for each in own)


def _on_signals(do: "Callable[[int, FrameType | None], None] | signal.Handlers") -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), do)


def _stop(number: int, _frame: FrameType | None) -> None:
    _on_signals(signal.SIG_IGN)
    if number == getattr(signal, "SIGALRM", None):
        raise failures.Failure("the time is over", code="timeout", exit_code=failures.TIMED_OUT)
    raise failures.Failure("interrupted", code="interrupted", exit_code=failures.INTERRUPTED)


def _drop_output() -> None:
    # Python would write what is left at its end, and complain.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
