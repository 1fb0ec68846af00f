"""The person and the server: `login`, `logout`, `status`; and `completion`, `version`, `help`."""

import getpass
import platform
import time
from typing import Any

import click

from taskbeacon import __version__
from taskbeacon.cli import failures, output
from taskbeacon.cli.failures import usage
from taskbeacon.cli.options import Client, allowed, connected, json_flag, placed, profile_option, read_input
from taskbeacon.client.shapes import checked

_MOST_NAME = 80
_CODES = {"device_code": str, "user_code": str, "verification_uri": str, "expires_in": int, "interval": int}
_MADE = {"api_key": str, "project_id": int}


@click.command()
@click.option("--with-token", is_flag=True, help="Read a key from standard input instead.")
@placed
def login(
    *, with_token: bool, url: str | None, project: str | None, profile: str | None, insecure: bool
) -> None:
    """Sign in: confirm a code in the console, and the key is kept in a file that only you can read."""
    from taskbeacon.client import Client  # noqa: PLC0415 - loads the HTTP library
    from taskbeacon.client.settings import DEFAULT_PROFILE, change_profile, read_config  # noqa: PLC0415 - loaded already

    config = read_config()
    profile = profile or str(config.get("profile", DEFAULT_PROFILE))
    if not (url := url or config["profiles"].get(profile, {}).get("url")):
        raise usage("name the server: --url URL")
    if with_token:
        if not (token := read_input(whole=False).strip()):
            raise usage("standard input has no key")
    else:
        # The requests of a sign-in need no key.
        with Client(url, "none", insecure=insecure) as client:
            made = _ask_for_key(client)
        token, project = made["api_key"], project or str(made["project_id"])
    with Client(url, token, project, insecure=insecure) as client:
        me = allowed(client, "/api/users/@me", {"email": str})
        change_profile(profile, url=client.settings.url, project=project, key=token)
    person = f" as {output.one_line(me['email'])}" if me else ""
    output.note(f"Signed in to {client.settings.url}{person}.")


def _ask_for_key(client: Client) -> dict[str, Any]:
    from taskbeacon.client import TaskbeaconError  # noqa: PLC0415 - loaded already

    name = output.one_line(f"{getpass.getuser()}@{platform.node()}")[:_MOST_NAME]
    begun = checked(client.request("POST", "/api/cli/login", json={"client": name}), _CODES)
    output.note(f"Open {begun['verification_uri']} and enter the code {begun['user_code']}")
    until = time.monotonic() + begun["expires_in"]
    pause = interval = max(begun["interval"], 0)
    while True:
        time.sleep(pause)
        try:
            body = {"device_code": begun["device_code"]}
            return checked(client.request("POST", "/api/cli/login/token", json=body), _MADE)
        except TaskbeaconError as error:
            interval += 5 * (error.code == "slow_down")
            pause = max(interval, error.retry_after or 0)
            has_time = error.retryable and time.monotonic() + pause < until
            if not has_time and error.code not in {"authorization_pending", "slow_down"}:
                raise


@click.command()
@profile_option
def logout(*, profile: str | None) -> None:
    """Forget the key of a server; it stays valid."""
    from taskbeacon.client.settings import DEFAULT_PROFILE, change_profile, read_config  # noqa: PLC0415 - loaded when needed

    config = read_config()
    profile = profile or str(config.get("profile", DEFAULT_PROFILE))
    if had_key := "key" in config["profiles"].get(profile, {}):
        change_profile(profile, key=None)
    said = "forgot its key, which stays valid until you revoke it in the console" if had_key else "has no key"
    output.note(f"The profile {profile} {said}.")


@click.command()
@json_flag
@connected
def status(client: Client, *, as_json: bool) -> None:
    """Show server, project, person and agents."""
    settings = client.settings
    me = allowed(client, "/api/users/@me", {"id": int, "email": str, "team": ({"id": int}, None)})
    listed = allowed(client, "/api/projects", {"results": [{"id": int, "name": str}]}) or {"results": []}
    shape = {"results": [{"name": str, "available": bool}]}
    listed_agents = checked(client.request("GET", "agents"), shape)["results"]
    number: Any = settings.project
    if number == "@current":
        number = ((me or {}).get("team") or {}).get("id")
    name = {str(each["id"]): each["name"] for each in listed["results"]}.get(str(number))
    server_version = checked(client.request("GET", "/livez"), {"version": (str, None)}).get("version")
    agents = sorted({"runbook", *(each["name"] for each in listed_agents)})
    away = [each["name"] for each in listed_agents if not each["available"]]
    if as_json:
        found = {name: getattr(settings, name) for name in ("url", "profile", "key_from")}
        found |= {"client_version": __version__, "server_version": server_version, "agents": agents}
        user = me and {"id": me["id"], "email": me["email"]}
        output.as_json(found | {"project": {"id": number, "name": name}, "user": user})
        return
    output.line(f"server: {settings.url} ({server_version or 'unknown version'})")
    output.line(f"project: {output.one_line(' '.join(str(each) for each in (number, name) if each))}")
    output.line(f"person: {output.one_line(me['email']) if me else 'not shown to this key'}")
    output.line(f"key: from the {settings.key_from}, profile {settings.profile}")
    ready = ", ".join(each for each in agents if each not in away)
    not_ready = f" (not ready: {', '.join(away)})" if away else ""
    output.line(f"agents: {output.one_line(ready + not_ready)}")


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the completion of a shell, to be stored where the shell reads it."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - this command alone needs it

    from taskbeacon.cli import main  # noqa: PLC0415 - imports this module

    made = get_completion_class(shell)
    assert made is not None
    source = made(main, {}, "taskbeacon", "_TASKBEACON_COMPLETE").source()
    # For fish: lists of fields have commas, too.
    output.write(source.replace('(string split ","', '(string split --max 1 ","'))


@click.command()
@json_flag
def version(*, as_json: bool) -> None:
    """Print the version."""
    if as_json:
        output.as_json({"client_version": __version__, "python": platform.python_version()})
    else:
        output.line(__version__)


@click.command("help")
@click.argument("words", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Explain a command, or the exit codes (exit-codes)."""
    from taskbeacon.cli import main  # noqa: PLC0415 - imports this module

    if words == ("exit-codes",):
        formatter = ctx.make_formatter()
        formatter.write_dl([(str(code), meaning) for code, meaning in failures.MEANINGS.items()])
        output.line(formatter.getvalue().rstrip())
        return
    root = ctx.find_root()
    main.main([*words, "--help"], root.info_name, standalone_mode=False, terminal_width=root.terminal_width)
