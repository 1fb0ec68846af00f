"""`taskbeacon inbox` and `taskbeacon answer`: the questions that wait for a person."""

from typing import Any

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage
from taskbeacon.cli.options import Client, connected, json_fields, option_id, parse_json, read_input
from taskbeacon.client.shapes import checked

_FIELDS = (
    "id", "kind", "status", "urgency", "risk", "digest", "title", "detail", "options", "schema", "link",
    "link_host", "task", "run", "project_id", "opened_at", "expires_at", "snoozed_until", "answer",
    "answered_by", "answered_via", "answered_at", "allowed_actions", "url",
)  # fmt: skip
_MOST_ROWS = 1000
_SHOWN = {"kind": str, "urgency": str, "task": {"slug": str}, "title": str}
_ASKED = {"kind": str, "options": [{"id": str, "name": str}], "task": {"slug": str}}


@click.command()
@click.option("--watch", is_flag=True, help="Go on: print what is asked and answered, as JSON lines.")
@json_fields(*_FIELDS)
@connected
def inbox(client: Client, *, watch: bool, fields: list[str] | None) -> None:
    """List the questions that wait for you, the most urgent first."""
    rows: list[dict[str, Any]] = [dict(row) for row in client.questions.list(limit=_MOST_ROWS)]
    if watch:
        for row in rows:
            output.as_json({"type": "question", **row})
        for item in client.events.stream(topics="inbox"):
            output.as_json(item.data)
    elif fields is not None:
        output.select(rows, fields)
    elif not rows:
        output.note("No question waits for you.")
    else:
        checked(rows, [_SHOWN])
        output.rows(
            [row["id"], row["kind"], row["urgency"], row["task"]["slug"], row["title"]] for row in rows
        )


@click.command()
@click.argument("question")
@click.option("--option", metavar="ID", help="Id, number or name of an option.")
@click.option("--text", help="Text, for an agent that waits for a message.")
@click.option(
    "--json",
    "source",
    metavar="[-]",
    is_flag=False,
    flag_value="",
    help="Print JSON; with - read the answer from standard input, too.",
)
@connected
def answer(
    client: Client, *, question: str, option: str | None, text: str | None, source: str | None
) -> None:
    """Answer a question: QUESTION is an id, its beginning, or @latest."""
    if source not in {None, "", "-"}:
        raise usage("the body comes from standard input: --json -")
    given = [each for each in (option, text, source or None) if each is not None]
    if len(given) != 1:
        raise usage("give one of --option, --text and --json -")
    row = checked(client.perform(client.core.find_question(question)), _ASKED)
    if source == "-":
        body = parse_json(read_input(), "standard input")
        if not isinstance(body, dict) or body.keys() & {"self", "question", "request_id"}:
            raise usage("standard input is no JSON object of an answer")
    elif text is not None:
        body = {"text": text}
    elif row["kind"] in {"form", "url"}:
        body = {"action": option}
    elif row["kind"] == "message":
        raise usage("the question takes --text")
    else:
        body = {"option_id": option_id(row["options"], str(option))}
    if row["kind"] in {"permission", "verdict"} and source != "-" and not body.get("option_id"):
        offered = ", ".join(f"{each['id']} ({each['name']})" for each in row["options"])
        raise usage(f"the question takes one of these as --option: {offered}")
    settled = dict(client.questions.answer(row, **body))
    if source is not None:
        output.as_json({**settled, "repeated": bool(settled.get("repeated"))})
    else:
        said = "It was answered so already" if settled.get("repeated") else "Answered"
        output.note(f"{said}: {output.one_line(row['title'])} ({output.one_line(row['task']['slug'])})")
