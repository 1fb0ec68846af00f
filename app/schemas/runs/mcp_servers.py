"""MCP servers that a request brings for the agent of a run (contract 5.8)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NotRequired

import orjson
from pydantic import AfterValidator
from typing_extensions import TypedDict, override

from app.enums import McpTransport
from app.json_types import JsonDict
from app.schemas.base import doc
from app.schemas.fields import Choice, Items, JsonObject, JsonSchema, Text, fail
from app.security.addresses import split_url

_MAX_SERVERS = 20
_MAX_NAME = 64
_MAX_URL = 2048
# All servers together, as JSON without blanks.
_MAX_BYTES = 32_768
_RESERVED = frozenset({"posthog", "taskbeacon"})
# A token and a field value of RFC 9110.
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[\t -~\x80-\xff]*")


def _check_url(text: str) -> str:
    try:
        split_url(text)
    except ValueError as error:
        raise fail("invalid_input", str(error)) from None
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Headers(JsonObject):
    """A field that takes HTTP headers: an object of strings by name."""

    @override
    def parse(self, value: object) -> dict[str, str]:
        headers: JsonDict = JsonObject.parse(self, value)
        for name, text in headers.items():
            if not _HEADER.fullmatch(name):
                raise fail("invalid_input", "Not a valid name of a header.")
            if not isinstance(text, str) or not _VALUE.fullmatch(text):
                raise fail("invalid_input", f"The value of {name} is not a valid value of a header.")
        return headers

    @override
    def json_schema(self) -> JsonSchema:
        return {"type": "object", "additionalProperties": {"type": "string"}, "writeOnly": True}


class McpServerIn(TypedDict):
    """An MCP server for the agent of a run. It is stored encrypted until the run is over, and never shown."""

    type: Annotated[
        McpTransport, Choice(of=McpTransport), doc("`http`: streamable HTTP; `sse`: server-sent events.")
    ]
    name: Annotated[
        str,
        Text(max_length=_MAX_NAME),
        doc("The agent's name for the server; unique, without regard to case.", "issues"),
    ]
    url: Annotated[
        str,
        Text(max_length=_MAX_URL, check=_check_url),
        doc("`https` or `http`, without a user; no private address.", "https://mcp.example.com/"),
    ]
    headers: NotRequired[
        Annotated[dict[str, str], _Headers(), doc("Headers of each request, such as `Authorization`.")]
    ]


def _check_together(servers: Sequence[McpServerIn] | None) -> Sequence[McpServerIn] | None:
    names: set[str] = set()
    for index, server in enumerate(servers or ()):
        name = server["name"].casefold()
        if name in _RESERVED:
            raise fail("invalid_input", f"The name {server['name']} is reserved.", index, "name")
        if name in names:
            raise fail("invalid_input", "Another server of the list has this name.", index, "name")
        names.add(name)
    if len(orjson.dumps(servers)) > _MAX_BYTES:
        raise fail("max_length", f"All servers together have more than {_MAX_BYTES} bytes.")
    return servers


McpServersIn = Annotated[
    list[McpServerIn],
    Items(max_length=_MAX_SERVERS),
    AfterValidator(_check_together),
    doc(
        "MCP servers for the agent, beside its own. Stored encrypted until the run is over, and never shown; a run "
        "that resumes this one does not have them."
    ),
]
McpServersHint = Annotated[
    list[McpServerIn] | None,
    Items(max_length=_MAX_SERVERS, null=True),
    AfterValidator(_check_together),
    doc(
        "MCP servers for the agent of the first run, if the creator starts it. Stored encrypted and never shown."
    ),
]
