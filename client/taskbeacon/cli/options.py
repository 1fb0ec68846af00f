"""Options that commands share, and the client that they open."""

import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import reduce, wraps
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage
from taskbeacon.client.shapes import Shape, checked

if TYPE_CHECKING:
    import taskbeacon.client

# By its name: it loads the HTTP library.
Client: TypeAlias = "taskbeacon.client.Client"
Command = TypeVar("Command", bound=Callable[..., Any])
_PAGE = re.compile(r"https?://.*?/console/projects/([^/]+)/")
_TIME = re.compile(r"(\d{1,8}(?:\.\d+)?)([smh]?)", re.ASCII)
_MOST_INPUT = 20 * 1024 * 1024


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Return one decorator for several options, in their order in the help."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def _profiles(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    from taskbeacon.client.settings import read_config  # noqa: PLC0415 - completion and clients alone need it

    with suppress(ValueError):  # another option was given
        return [name for name in read_config()["profiles"] if name.startswith(begun)]
    return []


json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
profile_option = click.option(
    "--profile",
    envvar="TASKBEACON_PROFILE",
    metavar="NAME",
    shell_complete=_profiles,
    help="Profile of the configuration.",
)
# Where requests go.
placed = together(
    click.option("--url", envvar="TASKBEACON_URL", metavar="URL", help="Server."),
    click.option("--project", metavar="ID", help="Project; by default the key's own."),
    profile_option,
    click.option("--insecure", is_flag=True, help="Allow http to other machines."),
)


def connected(command: Command) -> Command:
    """Add the options that say where requests go; give the command a `client`, open while it runs."""

    @wraps(command)
    def opened(*arguments: Any, **options: Any) -> Any:
        place = {name: options.pop(name) for name in ("url", "project", "profile", "insecure")}
        if page := _PAGE.match(str(options.get("run") or options.get("task"))):
            # For all requests of the command: what the server sends of a run names no project.
            place["project"] = page[1]
        from taskbeacon.client import Client  # noqa: PLC0415 - loads the HTTP library

        with Client(**place) as client:
            return command(client, *arguments, **options)

    return placed(opened)  # type: ignore[return-value] # with other parameters


def read_input(*, whole: bool = True) -> str:
    """Read standard input, or its first line: a key. Raises Failure where it is closed, or is no text."""
    if sys.stdin is None:
        raise usage("standard input is closed")
    if not whole and sys.stdin.isatty():
        with suppress(EOFError):
            return getpass("Key: ")
        return ""
    try:
        text = sys.stdin.read(_MOST_INPUT) if whole else sys.stdin.readline(_MOST_INPUT)
        text.encode()
    except UnicodeError as error:
        raise usage("standard input is not UTF-8") from error
    return text


def read_source(source: str) -> str:
    """Read a file, or standard input where the source is `-`. Raises Failure."""
    if source == "-":
        return read_input()
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise usage(f"{source} cannot be read: {getattr(error, 'strerror', error)}") from error


def json_or_text(text: str) -> Any:
    with suppress(ValueError):
        return json.loads(text)
    return text


def parse_json(text: str, source: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise usage(f"{source} is no JSON: {error}") from error


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

    def complete(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        before, comma, last = begun.rpartition(",")
        left = (name for name in known if name.startswith(last) and name not in before.split(","))
        return [f"{before}{comma}{name}" for name in left]

    text = f"Print these fields, separated by commas: {', '.join(known)}."
    more: dict[str, Any] = {"is_flag": False, "flag_value": "", "is_eager": True, "shell_complete": complete}
    return click.option("--json", "fields", metavar="FIELDS", callback=read, help=text, **more)


def seconds(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Read a time such as `90`, `90s`, `30m` or `1h`."""
    if value is None:
        return None
    found = _TIME.fullmatch(value)
    time = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not time:
        raise click.BadParameter("give a time such as 90, 90s, 30m or 1h")
    return time


def allowed(client: Client, path: str, shape: Shape) -> Any:
    """Return an answer of this shape; None if the key lacks the scope, since it may be valid for other requests."""
    from taskbeacon.client import AccessDenied  # noqa: PLC0415 - loaded already

    try:
        return checked(client.request("GET", path), shape)
    except AccessDenied as error:
        if error.code != "permission_denied":
            raise
        return None


def option_id(options: Iterable[dict[str, Any]], said: str) -> str | None:
    """Return the id of the option of a question that has this number, id or name."""
    for number, option in enumerate(options, 1):
        if said in {str(number), option["id"]} or said.casefold() == option["name"].casefold():
            return str(option["id"])
    return None


def project_id(client: Client) -> str:
    """Return the number of the project, for links to pages; `@current` if the key may not ask."""
    from taskbeacon.client import ApiError  # noqa: PLC0415 - loaded already

    if client.settings.project.isdigit():
        return client.settings.project
    with suppress(ApiError):
        return str(checked(client.request("GET", "/api/users/@me"), {"team": {"id": int}})["team"]["id"])
    return client.settings.project


def page(client: Client, project: str, task: str) -> str:
    return f"{client.settings.url}/console/projects/{project}/tasks/{task}"
