"""`taskbeacon task`: create, find and change tasks."""

import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage
from taskbeacon.cli.options import Client, connected, json_fields, json_flag, page, project_id, read_source
from taskbeacon.cli.runs import check_follow, choose_agent, follow_options, run_options, start_run
from taskbeacon.client.shapes import checked

if TYPE_CHECKING:
    from taskbeacon.cli.checkout import Repository

_FIELDS = (
    "id", "slug", "task_number", "title", "status", "verdict", "run_id", "url", "repository",
    "description", "title_manually_set", "origin_product", "github_integration",
    "github_user_integration", "signal_report", "json_schema", "internal", "archived", "archived_at",
    "latest_run", "created_at", "updated_at", "last_activity_at", "created_by", "ci_prompt",
    "acceptance",
)  # fmt: skip
_FILE = click.Path(exists=True, dir_okay=False)
_PAGE_ROWS = 30
_RUN = {"id": str, "status": str, "state": dict, "verification": ({"verdict": str | None}, None)}
_TASK = {"slug": str, "title": str, "latest_run": (_RUN, None)}


@click.group()
def task() -> None:
    """Create and find tasks.

    TASK is a number, a slug, an id or its beginning, the URL of its page, or @latest.
    """


@task.command()
@click.argument("text", required=False)
@click.option("-t", "--title", help="Title; by default the first line of the text.")
@click.option("-F", "--file", "source", metavar="FILE", help="File with the text; - is standard input.")
@click.option("--repo", metavar="REPO", help="Folder of a checkout, organization/repository, or URL.")
@click.option(
    "--check",
    "checks",
    multiple=True,
    metavar="COMMAND",
    is_flag=False,
    flag_value="",
    help="Command that must pass; repeatable.",
)
@click.option("--attach", multiple=True, type=_FILE, help="File for the run; repeatable.")
@click.option("--run", "starts", is_flag=True, help="Start a run.")
@click.option("--follow", "follows", is_flag=True, help="Start a run, and follow it.")
@click.option("--request-id", metavar="ID", help="The same id creates the same task.")
@run_options
@follow_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the task, its run, what happens.")
@connected
def create(
    client: Client,
    *,
    text: str | None,
    title: str | None,
    source: str | None,
    repo: str | None,
    checks: tuple[str, ...],
    attach: tuple[str, ...],
    starts: bool,
    follows: bool,
    request_id: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Create a task: what the agent is to do is TEXT, or in a file."""
    starts, patch = starts or follows, b""
    check_follow(options, follows=follows)
    if not all(command.strip() for command in checks):
        raise usage('give a command that must pass, such as --check "make test"')
    if attach and not starts:
        raise usage("--attach needs --run")
    fields: dict[str, Any] = {"title": title, "description": _text(text, source, title)}
    if repo is not None:
        from taskbeacon.cli.checkout import find_repository  # noqa: PLC0415 - starts git

        found = find_repository(repo)
        fields["repository"] = found.name
        options["branch"] = options["branch"] or found.branch
        patch = _offer(found, as_json=as_json, starts=starts)
    if checks:
        named = [{"id": f"check-{number}", "shell": shell} for number, shell in enumerate(checks, 1)]
        fields["acceptance"] = {"checks": named}
    # Before there is a task that a wrong choice would leave without a run.
    choose_agent(client, options)
    request_id = request_id or os.urandom(16).hex()
    given = {name: value for name, value in fields.items() if value is not None}
    made, is_replayed = client.perform(client.core.once("tasks", given, request_id, {"id": str, "slug": str}))
    url = page(client, project_id(client), made["id"])
    if as_json:
        line = {"type": "task", "task": made, "url": url, "request_id": request_id, "replayed": is_replayed}
        output.as_json(line)
    else:
        output.write(output.clean(f"{made['slug']} {url}"))
        if is_replayed:
            output.note("The task existed: this request id was used before.")
    if not starts:
        return 0
    uploads = [client.artifacts.upload(made, path)["id"] for path in attach]
    if patch:
        from tempfile import TemporaryDirectory  # noqa: PLC0415 - slow to load

        with TemporaryDirectory() as folder:
            (file := Path(folder, "unpushed.patch")).write_bytes(patch)
            uploads.append(client.artifacts.upload(made, file)["id"])
    key = f"{request_id}-run"
    return start_run(client, made, options, key=key, uploads=uploads, follows=follows, as_json=as_json)


def _offer(repository: "Repository", *, as_json: bool, starts: bool) -> bytes:
    """Offer a person to push what the remote does not have; return the patch of it that they attach instead."""
    from taskbeacon.cli import following, person  # noqa: PLC0415 - load the HTTP library

    if not following.has_terminal(as_json=as_json):
        return b""
    if repository.push is not None and person.agrees("Push the commits now?"):
        repository.push()
    patch = repository.patch() if starts else b""
    return patch if patch and person.agrees("Attach a patch of what is not pushed to the run?") else b""


def _text(text: str | None, source: str | None, title: str | None) -> str | None:
    if text is not None and source is not None:
        raise usage("give either TEXT or --file")
    source = "-" if text == "-" else source
    if source is not None:
        text = read_source(source)
    if not any((each or "").strip() for each in (text, title)):
        raise usage("say what is to be done: TEXT, --file or --title")
    return text


def _filter(name: str, *choices: str) -> Callable[[Any], Any]:
    # Not in the name's place: lines of the help do not break there.
    help_ = f"Of the latest run: {', '.join(choices)}."
    return click.option(f"--{name.lower()}", type=click.Choice(choices), metavar=name, help=help_)


@task.command("list")
@_filter(
    "STATUS", "waiting", "running", "not_started", "queued", "in_progress", "completed", "failed", "cancelled"
)
@_filter("VERDICT", "verified", "claimed", "refuted", "inconclusive")
@click.option("--mine", is_flag=True, help="Only tasks that you created.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=_PAGE_ROWS, show_default=True)
@json_fields(*_FIELDS)
@connected
def list_(
    client: Client,
    *,
    status: str | None,
    verdict: str | None,
    mine: bool,
    limit: int,
    fields: list[str] | None,
) -> None:
    """List tasks, newest first."""
    filters: dict[str, Any] = {"verdict": verdict}
    if mine:
        filters["created_by"] = checked(client.request("GET", "/api/users/@me"), {"id": int})["id"]
    is_divided = status in {"waiting", "running"}  # here: the server has one status for both
    filters |= {"status": "in_progress" if is_divided else status, "limit": None if is_divided else limit}
    project = project_id(client) if fields and "url" in fields else ""
    rows = (_row(client, project, dict(found)) for found in client.tasks.list(**filters))
    if is_divided:
        rows = (row for row in rows if (row["status"] == "waiting") == (status == "waiting"))
    shown = list(islice(rows, limit))
    if fields is not None:
        output.select(shown, fields)
    elif not shown:
        output.note("There is no such task.")
    else:
        output.rows([row["slug"], row["status"] or "-", row["verdict"] or "-", row["title"]] for row in shown)


def _row(client: Client, project: str, found: dict[str, Any]) -> dict[str, Any]:
    run = checked(found, _TASK).get("latest_run") or {}
    is_waiting = run.get("status") == "in_progress" and run["state"].get("waiting_for")
    return {
        **found,
        "status": "waiting" if is_waiting else run.get("status"),
        "run_id": run.get("id"),
        "verdict": (run.get("verification") or {}).get("verdict"),
        "url": page(client, project, found["id"]),
    }


@task.command()
@click.argument("task")
@click.option("--web", is_flag=True, help="Open its page in the browser.")
@json_flag
@connected
def view(client: Client, *, task: str, web: bool, as_json: bool) -> None:
    """Show a task."""
    found = dict(client.tasks.get(task))
    row = _row(client, project_id(client), found)
    if web:
        click.launch(row["url"])
    if as_json:
        output.as_json({**found, "url": row["url"]})
        return
    output.line(f"{row['slug']} {output.one_line(row['title'])}", style="bold")
    output.fields(row, ("status", "verdict", "repository", "run_id", "created_at", "url"))
    if row.get("description"):
        output.line(f"\n{row['description']}")


@task.command()
@click.argument("task")
@json_flag
@connected
def archive(client: Client, *, task: str, as_json: bool) -> None:
    """Put a task away; lists do not show it any more."""
    changed = dict(checked(client.tasks.update(task, archived=True), {"slug": str}))
    if as_json:
        output.as_json(changed | {"url": page(client, project_id(client), str(changed["id"]))})
    else:
        output.note(f"{changed['slug']} is archived.")


@task.command("open")
@click.argument("task")
@connected
def open_(client: Client, *, task: str) -> None:
    """Open the page of a task in the browser."""
    url = page(client, project_id(client), client.tasks.get(task)["id"])
    output.line(url)
    click.launch(url)
