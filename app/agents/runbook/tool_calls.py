"""Reports a step of a runbook to the client: as a tool call that starts, shows its output, and ends."""

from typing import Any  # JSON

from app.agents.runbook.connection import Message, TurnClient
from app.ids import new_hex_id

_TITLE_CHARACTERS = 80


class ToolCall:
    """Reports one step of a runbook to the client, as a tool call of the protocol."""

    def __init__(self, client: TurnClient) -> None:
        self._client = client
        self._id = new_hex_id()
        self._title = ""

    def start(self, title: str, kind: str, given: Any) -> None:
        """Report that the step begins, with a kind of the protocol and its raw input."""
        if len(title) > _TITLE_CHARACTERS:
            title = f"{title[: _TITLE_CHARACTERS - 1]}…"
        self._title = title
        self._client.update(
            "tool_call", toolCallId=self._id, title=title, kind=kind, status="in_progress", rawInput=given
        )

    def show(self, output: str) -> None:
        """Report only what the step printed since the last call; `end` reports all again."""
        self._client.update(
            "tool_call_update", toolCallId=self._id, status="in_progress", content=[_output_block(output)]
        )

    def end(
        self, output: str, *, failed: bool = False, result: Any = None, edit: Message | None = None
    ) -> None:
        """Report that the step has ended; `edit` is a content block of a changed file."""
        self._client.update(
            "tool_call_update",
            toolCallId=self._id,
            status="failed" if failed else "completed",
            content=[*([_output_block(output)] if output else []), *([edit] if edit else [])],
            **({} if result is None else {"rawOutput": result}),
        )

    def as_question(self) -> Message:
        """Return the id and title of the tool call, in the format of a permission request."""
        return {"toolCallId": self._id, "title": self._title}


def text_block(text: str) -> Message:
    """Return a text as a content block of the Agent Client Protocol."""
    return {"type": "text", "text": text}


def _output_block(output: str) -> Message:
    return {"type": "content", "content": text_block(output)}
