"""Options that commands share, and the client that they open."""

import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage

if TYPE_CHECKING:
    import taskbeacon.client

# By its name: it loads the HTTP library.
Client: TypeAlias = "taskbeacon.client.Client"
Command = TypeVar("Command", bound=Callable[..., Any])
_PAGE = re.compile(r"https?://.*?/console/projects/([^/]+)/")
_NAMES = ("url", "project", "profile", "insecure")


def connected(command: Command) -> Command:
    """Add the options that say where requests go; give the command a `client`, open while it runs."""

    @wraps(command)
    def opened(*arguments: Any, **options: Any) -> Any:
        place = {name: options.pop(name) for name in _NAMES}
        if page := _PAGE.match(str(options.get("run") or options.get("task"))):
            # For all requests of the command: what the server sends of a run names no project.
            place["project"] = page[1]
        with open_client(**place) as client:
            return command(client, *arguments, **options)

    return placed(opened)  # type: ignore[return-value] # with other parameters


def placed(command: Command) -> Command:
    """Add the options that say where requests go."""
    for option in (
        click.option("--insecure", is_flag=True, help="Allow http to other machines."),
        click.option("--profile", metavar="NAME", help="Profile of the configuration."),
        click.option("--project", metavar="ID", help="Project; by default the key's own."),
        click.option("--url", metavar="URL", help="Server."),
    ):
        command = option(command)
    return command


def open_client(*, url: str | None, project: str | None, profile: str | None, insecure: bool) -> Client:
    from taskbeacon.client import Client  # noqa: PLC0415 - loads the HTTP library

    return Client(url, project=project, profile=profile, insecure=insecure)


def standard_input(most: int, *, whole: bool = True) -> str:
    """Read standard input, or its first line. Raises Failure where it is closed, or is no text."""
    if sys.stdin is None:
        raise usage("standard input is closed")
    try:
        text = sys.stdin.read(most) if whole else sys.stdin.readline(most)
        text.encode()
    except UnicodeError as error:
        raise usage("standard input is not UTF-8") from error
    return text


def json_flag(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def json_fields(*known: str) -> Callable[[Command], Command]:
    """Add `--json FIELDS`. The command gets `fields`, or None; without a value it prints the names instead."""

    def read(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> list[str] | None:
        if value is None or ctx.resilient_parsing:
            return None
        if not value:
            for name in known:
                output.line(name)
            ctx.exit(0)
        fields = [name.strip() for name in value.split(",") if name.strip()]
        unknown = [name for name in fields if name not in known]
        if unknown or not fields:
            raise usage(f"unknown field {', '.join(unknown)}; there are: {', '.join(known)}")
        return fields

    return click.option(
        "--json",
        "fields",
        metavar="FIELDS",
        is_flag=False,
        flag_value="",
        is_eager=True,
        callback=read,
        help=f"Print these fields, separated by commas: {', '.join(known)}.",
    )


def seconds(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Read a time such as `90`, `90s`, `30m` or `1h`."""
    if value is None:
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(value[-1:])
    number = value if unit is None else value[:-1]
    try:
        found = float(number) * (unit or 1)
    except ValueError:
        found = 0
    if not 0 < found < 10**9:
        raise click.BadParameter("give a time such as 90, 90s, 30m or 1h")
    return found


def project_number(client: Client) -> str:
    """Return the number of the project, for pages; `@current` where the key may not ask."""
    from taskbeacon.client import ApiError  # noqa: PLC0415 - loaded already

    if client.settings.project.isdigit():
        return client.settings.project
    try:
        return str(client.request("GET", "/api/users/@me")["team"]["id"])
    except (ApiError, KeyError, TypeError):
        return client.settings.project


def page(client: Client, project: str, task: str) -> str:
    return f"{client.settings.url}/console/projects/{project}/tasks/{task}"
