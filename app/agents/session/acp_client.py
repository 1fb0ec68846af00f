"""Answers the requests of an agent for files, terminals and permission, as the protocol's client."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from acp import RequestError
from acp.schema import (
    AcceptElicitationResponse,
    AllowedOutcome,
    CancelElicitationResponse,
    CreateElicitationResponse,
    DeclineElicitationResponse,
    DeniedOutcome,
    ElicitationMode,
    PermissionOption,
    ReadTextFileResponse,
    RequestPermissionResponse,
    ToolCallUpdate,
    WriteTextFileResponse,
)

from app.agents.errors import PathRefused
from app.agents.files import safe_paths
from app.agents.session.agent_questions import Elicitation, Questions
from app.agents.session.permissions import Decide, PermissionRequest
from app.agents.session.terminals import Terminals
from app.agents.session.transcript import Transcript
from app.agents.session.transport import REQUEST

_FILE_BYTES = 4 * 2**20


# Not a subclass of the library's Client, which would offer all methods of the protocol to the agent.
class WorkspaceClient:
    """Answers an agent's requests for files, terminals, permission and forms.

    Files are read in `work`, which the agent sees at `cwd`, and written in `writable` below it. There are no methods
    for terminals and elicitations without `terminals` and `people`.
    """

    def __init__(
        self,
        work: Path,
        cwd: Path,
        writable: str,
        decide: Decide,
        *,
        transcript: Transcript,
        terminals: Terminals | None = None,
        people: Questions | None = None,
    ) -> None:
        self._work = work
        self._cwd = cwd
        self._writable = writable
        self._decide = decide
        self._transcript = transcript
        if terminals is not None:
            self.create_terminal = terminals.create_terminal
            self.terminal_output = terminals.terminal_output
            self.wait_for_terminal_exit = terminals.wait_for_terminal_exit
            self.kill_terminal = terminals.kill_terminal
            self.release_terminal = terminals.release_terminal
        if people is not None:
            self.create_elicitation = partial(self._create_elicitation, people)
            self.complete_elicitation = partial(self._complete_elicitation, people)

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **meta: Any
    ) -> RequestPermissionResponse:
        sent = tool_call.model_dump(mode="json", by_alias=True, exclude_none=True)
        question = PermissionRequest(sent, options, meta.get(REQUEST, ""))
        # First, so that the log has the agent's text and the tool call before the question.
        await self._transcript.introduce(session_id, question.tool_call)
        answer = await self._decide(question)
        if answer is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        return RequestPermissionResponse(
            outcome=AllowedOutcome(outcome="selected", option_id=answer.option_id), field_meta=answer.meta
        )

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None, **_meta: object
    ) -> ReadTextFileResponse:
        """Return `limit` lines of a file from `line` (from 1) on, or all. Raises RequestError, also over 4 MiB."""
        try:
            content = await asyncio.to_thread(
                safe_paths.read_file, self._work, path, _FILE_BYTES + 1, seen=self._cwd
            )
        except FileNotFoundError:
            raise RequestError.resource_not_found(path) from None
        except (PathRefused, OSError) as error:
            raise RequestError.invalid_params({"details": str(error)}) from None
        if len(content) > _FILE_BYTES:
            # Refused, not truncated: the agent could take the part for the whole, and overwrite the file with it.
            raise RequestError.invalid_params({"details": f"The file is larger than {_FILE_BYTES} bytes."})
        part = await asyncio.to_thread(_lines, content, max((line or 1) - 1, 0), limit or None)
        return ReadTextFileResponse(content=part.decode(errors="replace"))

    async def write_text_file(
        self, session_id: str, path: str, content: str, **_meta: object
    ) -> WriteTextFileResponse:
        try:
            await asyncio.to_thread(
                safe_paths.write_file,
                self._work / self._writable,
                str(self._cwd / path),
                content.encode(errors="replace"),
                seen=self._cwd / self._writable,
            )
        except (PathRefused, OSError) as error:
            raise RequestError.invalid_params({"details": str(error)}) from None
        return WriteTextFileResponse()

    async def _create_elicitation(
        self, people: Questions, message: str, mode: ElicitationMode, **meta: Any
    ) -> CreateElicitationResponse:
        sent = mode.model_dump(mode="json", by_alias=True, exclude_none=True)
        # First, so that the log has the agent's text before the question.
        await self._transcript.flush()
        answer = await people.elicit(
            Elicitation(
                message=message,
                tool_call_id=sent.get("toolCallId"),
                schema=sent.get("requestedSchema"),
                url=sent.get("url"),
                id=sent.get("elicitationId"),
                request=meta.get(REQUEST, ""),
            )
        )
        match answer.action:
            case "accept":
                return AcceptElicitationResponse(action="accept", content=answer.content)
            case "decline":
                return DeclineElicitationResponse(action="decline")
            case "cancel":
                return CancelElicitationResponse(action="cancel")

    async def _complete_elicitation(self, people: Questions, elicitation_id: str, **_meta: object) -> None:
        await people.complete(elicitation_id)


def _lines(content: bytes, first: int, count: int | None) -> bytes:
    start = _end_of_lines(content, 0, first)
    return content[start:] if count is None else content[start : _end_of_lines(content, start, count)]


def _end_of_lines(content: bytes, start: int, count: int) -> int:
    while count > 0 and start < len(content):
        start = content.find(b"\n", start) + 1 or len(content)
        count -= 1
    return start
