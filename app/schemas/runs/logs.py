"""Bodies that append entries to the log of a run, and filters for reading it (contract 6.4, 13.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar

from typing_extensions import override

from app.json_types import JsonDict
from app.schemas.base import Input, QueryInput, doc
from app.schemas.fields import Integer, Items, JsonObject, Text, Timestamp, fail

_MAX_ENTRIES = 10_000
_MAX_PAGE = 5000
_WORDS = Text(max_length=5000, blank_is_absent=True)
_MAX_OFFSET = 2**53


_LOG_ENTRY = {
    "type": "notification",
    "timestamp": "2026-03-01T10:00:07.250Z",
    "notification": {
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": {
            "sessionId": "s1",
            "update": {
                "sessionUpdate": "agent_message",
                "content": {"type": "text", "text": "The page says hello now."},
            },
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries(Items):
    """A field that takes a list of log entries, with its own error text for an empty list (contract 6.4)."""

    @override
    def parse(self, value: object) -> Any:
        if value == []:
            raise fail("invalid_input", "At least one log entry is required")
        return Items.parse(self, value)  # `super()` does not work in a class with slots


class AppendIn(Input):
    """Entries to append to the log of a run."""

    examples: ClassVar = {"A message of the agent": {"entries": [_LOG_ENTRY]}}

    entries: Annotated[
        list[Annotated[JsonDict, JsonObject()]],
        _Entries(max_length=_MAX_ENTRIES),
        doc(
            "Usually `{type, timestamp, notification}`. Chunks of agent messages are not stored: the "
            "whole message follows them."
        ),
    ]


class LogQuery(QueryInput):
    """The query parameters that filter log entries and select a page; an empty one is treated as not given."""

    after: Annotated[datetime | None, Timestamp(), doc("Only entries with a later `timestamp`.")] = None
    # A text, not a set, which FastAPI would read from repeated parameters.
    event_types: Annotated[
        str | None, _WORDS, doc("Only entries with one of these notification methods, separated by commas.")
    ] = None
    exclude_types: Annotated[
        str | None, _WORDS, doc("No entries with these notification methods, separated by commas.")
    ] = None
    limit: Annotated[
        int, Integer(minimum=1, maximum=_MAX_PAGE), doc("Maximum number of entries to return.")
    ] = 1000
    offset: Annotated[
        int, Integer(minimum=0, maximum=_MAX_OFFSET), doc("Number of matching entries to skip.")
    ] = 0
