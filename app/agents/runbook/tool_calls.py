"""Reports one step to the client: a tool call that starts, shows what it prints, and ends."""

from typing import Any  # JSON

from acp import Client
from acp.helpers import text_block, tool_content
from acp.schema import FileEditToolCallContent, ToolCallProgress, ToolCallStart, ToolCallUpdate, ToolKind

from app.ids import new_hex_id

__all__ = ["ToolCall"]

_TITLE_CHARACTERS = 80


class ToolCall:
    """One step as the client sees it."""

    def __init__(self, client: Client, session_id: str) -> None:
        self._client = client
        self._session_id = session_id
        self._id = new_hex_id()
        self._title = ""

    async def start(self, title: str, kind: ToolKind, given: Any) -> None:
        """Say what is about to happen."""
        if len(title) > _TITLE_CHARACTERS:
            title = f"{title[: _TITLE_CHARACTERS - 1]}…"
        self._title = title
        await self._client.session_update(
            self._session_id,
            ToolCallStart(
                session_update="tool_call",
                tool_call_id=self._id,
                title=title,
                kind=kind,
                status="in_progress",
                raw_input=given,
            ),
        )

    async def show(self, output: str) -> None:
        """Pass on what was printed since the last time; `end` repeats all of it."""
        await self._client.session_update(
            self._session_id,
            ToolCallProgress(
                session_update="tool_call_update",
                tool_call_id=self._id,
                status="in_progress",
                content=[tool_content(text_block(output))],
            ),
        )

    async def end(
        self,
        output: str,
        *,
        failed: bool = False,
        result: Any = None,
        edit: FileEditToolCallContent | None = None,
    ) -> None:
        """Say how it went."""
        text = [tool_content(text_block(output))] if output else []
        await self._client.session_update(
            self._session_id,
            ToolCallProgress(
                session_update="tool_call_update",
                tool_call_id=self._id,
                status="failed" if failed else "completed",
                content=[*text, *([edit] if edit else [])],
                raw_output=result,
            ),
        )

    def as_question(self) -> ToolCallUpdate:
        """Return what a permission request is about."""
        return ToolCallUpdate(tool_call_id=self._id, title=self._title)
