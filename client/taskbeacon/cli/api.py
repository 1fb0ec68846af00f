"""`taskbeacon api`: any request."""

from typing import Any

import click

from taskbeacon.cli import output
from taskbeacon.cli.failures import usage
from taskbeacon.cli.options import Client, connected, json_or_text, parse_json, read_source


@click.command()
@click.argument("method")
@click.argument("path")
@click.option("-f", "texts", multiple=True, metavar="KEY=TEXT", help="Field of the body, or of a query.")
@click.option("-F", "values", multiple=True, metavar="KEY=JSON", help="The same as JSON, @FILE or @-.")
@click.option("--input", "source", metavar="FILE", help="Body; - is standard input.")
@click.option("--paginate", is_flag=True, help="Print the rows of all pages as one array.")
@click.option("--request-id", metavar="ID", help="Have a POST repeated; the server performs it once.")
@connected
def api(
    client: Client,
    *,
    method: str,
    path: str,
    texts: tuple[str, ...],
    values: tuple[str, ...],
    source: str | None,
    paginate: bool,
    request_id: str | None,
) -> None:
    """Send a request, and print the answer. PATH is one below the project unless it begins with /api."""
    fields: dict[str, Any] = dict(_pair(each) for each in texts)
    for name, text in map(_pair, values):
        fields[name] = read_source(text[1:]) if text.startswith("@") else json_or_text(text)
    is_read = method.upper() in {"GET", "HEAD", "DELETE"}
    if source is not None and fields:
        raise usage("give either --input or fields")
    body: Any = fields if fields and not is_read else None
    if source is not None:
        body = parse_json(read_source(source), source)
    params = fields if is_read else None
    if paginate:
        output.as_json(list(client.iterate(client.core.pages(path, params or {}))))
        return
    request = client.core.build(method, path, body, params=params, key=request_id)
    answer = client.perform(client.core.send(request))
    if answer.body:
        output.raw(answer.body if answer.body.endswith(b"\n") else answer.body + b"\n")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise usage(f"{text!r} is not KEY=VALUE")
    return name, value
