"""Answers the requests of an agent for files, terminals and permission, as the protocol's client."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acp import RequestError
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    PermissionOption,
    ReadTextFileResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    WriteTextFileResponse,
)

from app.agents.errors import PathRefused
from app.agents.files import safe_paths
from app.agents.session.elicitation import ElicitationClient
from app.agents.session.terminals import Terminals
from app.agents.session.transport import REQUEST, Message

_FILE_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """An agent's request for permission to make one tool call, with the options to choose from."""

    tool_call: Message  # as the agent sent it
    options: Sequence[PermissionOption]
    request: str = ""  # the id by which the agent withdraws it


@dataclass(frozen=True, slots=True)
class Answer:
    """The id of the option that answers a permission request, and the `_meta` of the response, if any."""

    option_id: str
    meta: Message | None = None


Decide = Callable[[PermissionRequest], Awaitable[Answer | None]]  # None cancels the question


# Not a subclass of the library's Client, which would offer all methods of the protocol to the agent.
class WorkspaceClient:
    """Answers an agent's requests for files, terminals, permission and forms: reads in `work`, writes in `writable`.

    `decide` answers a permission request, None cancels it; `before_question` gets session id and tool call before that.
    There are no methods for terminals or elicitations if these are None.
    """

    def __init__(
        self,
        work: Path,
        writable: Path,
        decide: Decide,
        *,
        before_question: Callable[[str, Message], Awaitable[None]],
        terminals: Terminals | None = None,
        elicitations: ElicitationClient | None = None,
    ) -> None:
        self._work = work
        self._writable = writable
        self._decide = decide
        self._before_question = before_question
        if terminals is not None:
            self.create_terminal = terminals.create_terminal
            self.terminal_output = terminals.terminal_output
            self.wait_for_terminal_exit = terminals.wait_for_terminal_exit
            self.kill_terminal = terminals.kill_terminal
            self.release_terminal = terminals.release_terminal
        if elicitations is not None:
            self.create_elicitation = elicitations.create_elicitation
            self.complete_elicitation = elicitations.complete_elicitation

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **meta: Any
    ) -> RequestPermissionResponse:
        """Answer the agent's permission request. The answer comes from `decide`, which may ask people."""
        sent = tool_call.model_dump(mode="json", by_alias=True, exclude_none=True)
        question = PermissionRequest(sent, options, meta.get(REQUEST, ""))
        # In the log, the agent's text so far and the tool call come before the question about it.
        await self._before_question(session_id, question.tool_call)
        answer = await self._decide(question)
        if answer is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(
            outcome=AllowedOutcome(outcome="selected", option_id=answer.option_id), field_meta=answer.meta
        )

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_meta: Any
    ) -> ReadTextFileResponse:
        """Return `limit` lines of a file from `line` (from 1) on, or all. Raises RequestError, also over 4 MiB."""
        try:
            content = await asyncio.to_thread(safe_paths.read_file, self._work, path, _FILE_BYTES + 1)
        except FileNotFoundError:
            raise RequestError.resource_not_found(path) from None
        except (PathRefused, OSError) as error:
            raise RequestError.invalid_params({"details": str(error)}) from None
        if len(content) > _FILE_BYTES:
            # The agent would take a part for the whole file, and would replace the file by that part.
            raise RequestError.invalid_params({"details": f"The file is larger than {_FILE_BYTES} bytes."})
        part = await asyncio.to_thread(_lines, content, max((line or 1) - 1, 0), limit or None)
        return ReadTextFileResponse(content=part.decode(errors="replace"))

    async def write_text_file(
        self, session_id: str, path: str, content: str, **_meta: Any
    ) -> WriteTextFileResponse:
        """Create or replace a text file in the workspace. Raises RequestError if the file cannot be written."""
        try:
            target = str(self._work / path)
            await asyncio.to_thread(
                safe_paths.write_file, self._writable, target, content.encode(errors="replace")
            )
        except (PathRefused, OSError) as error:
            raise RequestError.invalid_params({"details": str(error)}) from None
        return WriteTextFileResponse()


def _lines(content: bytes, first: int, count: int | None) -> bytes:
    start = _end_of_lines(content, 0, first)
    return content[start:] if count is None else content[start : _end_of_lines(content, start, count)]


def _end_of_lines(content: bytes, start: int, count: int) -> int:
    while count > 0 and start < len(content):
        start = content.find(b"\n", start) + 1 or len(content)
        count -= 1
    return start
