"""`taskbeacon run`: start, follow and steer runs; get what they bring."""

import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import CONFLICT, Failure, usage
from taskbeacon.cli.live import RUN, Transcript, brought
from taskbeacon.cli.options import Client, connected, json_fields, json_flag, seconds, together
from taskbeacon.client.shapes import checked

_BUILT_IN = "runbook"
_ARTIFACT_FIELDS = (
    "id", "name", "type", "source", "size", "content_type", "storage_path", "uploaded_at", "url",
    "uploaded_by", "uploaded_by_user_id", "dismissed_at", "metadata",
)  # fmt: skip
_MOST_LINES = 1_000_000
_CHANGES = {"files": [{"path": str, "additions": int, "deletions": int}]}
_FILES = {"artifacts": [{"id": str, "name": str, "size": int, "storage_path": str}]}

run_options = together(
    click.option("--agent", metavar="NAME", help="Agent: claude, codex, …; runbook is the built-in one."),
    click.option("--model", help="Model of the agent; by default its first one."),
    click.option("--branch", help="Branch to begin from."),
    click.option(
        "--interactive/--background",
        default=None,
        help="Whether the agent may ask you: by default where you follow it in a terminal.",
    ),
)
follow_options = together(
    click.option("--until", type=click.Choice(["terminal", "waiting"]), help="When to end."),
    click.option("--timeout", callback=seconds, metavar="TIME", help="When to end at last, such as 30m."),
    click.option("--require", type=click.Choice(["verified", "verified,ci"]), help="Of the end; else 3."),
    click.option("--close", is_flag=True, help="End the conversation when the agent has finished its turn."),
)


@click.group()
def run() -> None:
    """Start, follow and steer runs; get what they bring.

    RUN is an id or its beginning, the URL of its page, @latest, or a task, whose latest run it is.
    """


def start_run(
    client: Client,
    task: Any,
    options: dict[str, Any],
    *,
    key: str | None = None,
    uploads: Sequence[str] = (),
    follows: bool,
    as_json: bool,
) -> int:
    """Start a run, with the model that `choose_agent` has found, and follow it if wanted; return the exit code."""
    from taskbeacon.cli import following  # noqa: PLC0415 - loads the HTTP library

    agent, model, branch, interactive = map(options.pop, ("agent", "model", "branch", "interactive"))
    # Only who follows in a terminal is asked, and ends conversations.
    can_ask = follows and following.has_terminal(as_json=as_json)
    is_interactive = can_ask if interactive is None else interactive
    options["close"] |= is_interactive and follows and not can_ask
    if interactive is None and not is_interactive:
        output.note("background: questions are answered by the service; --interactive has them wait for you")
    # The built-in agent has no model, and needs no name.
    fields: dict[str, Any] = {"branch": branch, "runtime_adapter": agent if model else None, "model": model}
    mode = "interactive" if is_interactive else "background"
    fields |= {"mode": mode, "pending_user_artifact_ids": uploads or None}
    given = {name: value for name, value in fields.items() if value is not None}
    path = client.perform(client.core.task_path(task))
    made, is_replayed = client.perform(client.core.once(f"{path}/run", given, key))
    run = checked(made, {"latest_run": {"id": str, "task": str}})["latest_run"]
    if follows:
        return following.follow(client, run, as_json=as_json, **options)
    if as_json:
        output.as_json({"type": "run", "run": run, "replayed": is_replayed})
        return 0
    if key is None:  # a task of before: its name is no news
        output.line(run["id"])
    output.note(f"taskbeacon run follow {run['id']}")
    return 0


def check_follow(options: dict[str, Any], *, follows: bool) -> None:
    """Raise Failure for an option of a follow where none is wanted."""
    for name in ("until", "timeout", "require"):
        if options[name] and not follows:
            raise usage(f"--{name} needs --follow")


def choose_agent(client: Client, options: dict[str, Any]) -> None:
    """Set the model where the agent needs one and none is given. Raises Failure for a wrong choice."""
    agent, model = options["agent"], options["model"]
    if agent in {None, _BUILT_IN}:
        if model is not None:
            raise usage("--model needs --agent")
        return
    listed = checked(client.request("GET", "agents"), {"results": [{"name": str, "models": [{"name": str}]}]})
    known = {each["name"]: each["models"] for each in listed["results"]}
    if agent not in known:
        raise usage(f"the server has no agent {agent}; there are: {', '.join(sorted({*known, _BUILT_IN}))}")
    if model is None and not known[agent]:
        raise usage(f"the server names no model of {agent}: give --model")
    options["model"] = model or known[agent][0]["name"]


@run.command()
@click.argument("task")
@click.option("--follow", "follows", is_flag=True, help="Follow the run.")
@run_options
@follow_options
@json_flag
@connected
def start(client: Client, *, task: str, follows: bool, as_json: bool, **options: Any) -> int:
    """Start a run of a task."""
    check_follow(options, follows=follows)
    choose_agent(client, options)
    return start_run(client, task, options, follows=follows, as_json=as_json)


@run.command()
@click.argument("run")
@json_flag
@connected
def view(client: Client, *, run: str, as_json: bool) -> None:
    """Show a run."""
    found: dict[str, Any] = dict(checked(client.runs.get(run), RUN))
    shown = {**brought(found), **found, "verdict": (found.get("verification") or {}).get("verdict")}
    if as_json:
        output.as_json(found)
        return
    names = ("id", "status", "verdict", "branch", "head_branch", "pr_url", "error_message", "created_at")
    output.fields(shown, names)


@run.command()
@click.argument("run")
@click.option("--after", metavar="EVENT_ID", help="Begin behind this event.")
@follow_options
@json_flag
@connected
def follow(client: Client, *, run: str, as_json: bool, **options: Any) -> int:
    """Follow a run until it is over. Ctrl-C leaves the run, and says how to go on."""
    if options["after"] is not None and not re.fullmatch(r"\d+-\d+", options["after"], re.ASCII):
        raise usage("--after takes the id of an event, such as 1700000000000-0")
    from taskbeacon.cli import following  # noqa: PLC0415 - loads the HTTP library

    return following.follow(client, run, as_json=as_json, **options)


@run.command()
@click.argument("run")
@click.argument("text")
@click.option("--steer", is_flag=True, help="In the middle of the turn, if the agent can be steered.")
@json_flag
@connected
def send(client: Client, *, run: str, text: str, steer: bool, as_json: bool) -> None:
    """Send a message to the agent."""
    found = client.runs.get(run)
    is_queued = bool(client.runs.send(found, text, steer=steer).get("queued"))
    if as_json:
        output.as_json({"run_id": found["id"], "queued": is_queued})
    else:
        output.note("The message waits for the agent.")


@run.command()
@click.argument("run")
@json_flag
@connected
def cancel(client: Client, *, run: str, as_json: bool) -> None:
    """Cancel a run; one that is over stays as it is."""
    found = client.runs.cancel(run)
    if as_json:
        output.as_json({"run_id": found["id"], "status": found["status"]})
    else:
        output.line(found["status"])


@run.command()
@click.argument("run")
@click.option("-f", "--follow", "follows", is_flag=True, help="As run follow.")
@click.option("--tail", type=click.IntRange(1, _MOST_LINES), metavar="N", help="Only the last entries.")
@follow_options
@json_flag
@connected
def log(client: Client, *, run: str, follows: bool, tail: int | None, as_json: bool, **options: Any) -> int:
    """Print the log of a run, and end."""
    check_follow(options, follows=follows)
    if follows:
        from taskbeacon.cli import following  # noqa: PLC0415 - loads the HTTP library

        return following.follow(client, run, as_json=as_json, **options)
    entries = client.runs.log(run)
    transcript = Transcript()
    for entry in entries if tail is None else deque(entries, tail):
        if as_json:
            output.as_json(entry if "type" in entry else {"type": "unknown", **entry})
        else:
            transcript.show(entry)
    return 0


@run.command()
@click.argument("run")
@click.option("--stat", is_flag=True, help="Only the files, with the number of their lines.")
@json_flag
@connected
def diff(client: Client, *, run: str, stat: bool, as_json: bool) -> None:
    """Print the changes of a run."""
    if as_json:
        output.as_json(client.runs.diff(run))
    elif stat and (files := checked(client.runs.diff(run), _CHANGES)["files"]):
        output.rows([[f"+{each['additions']}", f"-{each['deletions']}", each["path"]] for each in files])
    elif not stat and (patch := client.runs.patch(run)):
        output.patch(patch)
    else:
        output.note(_no_changes(client.runs.get(run)["status"]))


@run.command()
@click.argument("run")
@click.option("--3way", "three_way", is_flag=True, help="Merge; other files may have changes.")
@click.option("--branch", metavar="NAME", help="Fetch the pushed branch into NAME instead; no file changes.")
@json_flag
@connected
def apply(client: Client, *, run: str, three_way: bool, branch: str | None, as_json: bool) -> None:
    """Apply the changes of a run to the checkout here. Nothing is committed."""
    from taskbeacon.cli.checkout import Checkout  # noqa: PLC0415 - starts git

    checkout = Checkout()
    found = client.runs.get(run)
    if branch is not None:
        if not (pushed := brought(found).get("head_branch")):
            raise Failure("the run has pushed no branch", code="not_applicable", exit_code=CONFLICT)
        checkout.fetch(str(pushed), branch)
    elif found["state"].get("resume_from_run_id"):
        output.note("The run continues another: this is its own part; --branch NAME fetches all of it.")
    files = [] if branch is not None else checkout.apply(client.runs.patch(found), three_way=three_way)
    if as_json:
        done = {"applied": bool(files), "run_id": found["id"], "files": files}
        output.as_json(done | ({"branch": branch} if branch else {}))
        return
    for each in files:
        output.line(f"{each['status']} {output.one_line(each['path'])}")
    if branch is not None:
        output.note(f"The branch {branch} has the work of the run.")
    elif not files:
        output.note(_no_changes(found["status"]))


def _no_changes(status: str) -> str:
    if status in {"not_started", "queued", "in_progress"}:
        return f"The run is {status}: its changes come at its end (taskbeacon run follow --close)."
    return "The run has no changes."


@run.command()
@click.argument("run")
@json_flag
@connected
def verify(client: Client, *, run: str, as_json: bool) -> None:
    """Check the work of a run once more."""
    path = client.perform(client.core.run_path(run))
    answer, _ = client.perform(client.core.once(f"{path}/verify", {}, None))
    if as_json:
        output.as_json(answer)
    else:
        output.note("taskbeacon run view shows the verdict, once there is one; without checks it is claimed.")


@run.command()
@click.argument("run")
@click.option("--download", metavar="DIR", type=click.Path(), help="Write them there; - prints the only one.")
@json_fields(*_ARTIFACT_FIELDS)
@connected
def artifacts(client: Client, *, run: str, download: str | None, fields: list[str] | None) -> None:
    """List the files of a run."""
    found = checked(client.runs.get(run), _FILES)
    files = found["artifacts"]
    if download == "-":
        if len(files) != 1:
            raise usage(f"the run has {len(files)} files; --download - prints the only one")
        output.raw(client.perform(client.core.content(found, files[0])))
        return
    if download is not None:
        folder = Path(download)
        folder.mkdir(parents=True, exist_ok=True)
        for each in files:
            output.note(str(client.artifacts.download(found, each, folder)))
    if fields is not None:
        output.select([dict(each) for each in files], fields)
    elif files and download is None:
        output.rows([[each["id"], str(each["size"]), each["name"]] for each in files])
