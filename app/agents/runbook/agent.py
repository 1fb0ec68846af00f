"""The agent side of the protocol: each prompt of a session is a runbook.

What a step does is in steps.py; here is only who asks, and what is answered.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # the protocol's open-ended metadata

from acp import PROTOCOL_VERSION, Client, RequestError
from acp.helpers import ContentBlock
from acp.schema import (
    AgentCapabilities,
    ClientCapabilities,
    Implementation,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    TextContentBlock,
)

from app.agents.errors import STEP_FAILED
from app.agents.runbook.parser import RunbookError, parse
from app.agents.runbook.steps import Execution, StepFailed
from app.ids import new_hex_id

__all__ = ["RunbookAgent"]


@dataclass(slots=True)
class _Session:
    work: Path
    running: asyncio.Task[None] | None = None
    cancelled: bool = field(default=False)


class RunbookAgent:
    """Executes runbooks. Implements the part of acp's Agent protocol that a background run needs."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._client: Client | None = None

    def on_connect(self, client: Client) -> None:
        """Remember whom to report to."""
        self._client = client

    async def initialize(
        self,
        protocol_version: int,  # noqa: ARG002 - we speak one version; the client decides whether it fits
        client_capabilities: ClientCapabilities | None = None,  # noqa: ARG002
        client_info: Implementation | None = None,  # noqa: ARG002
        **_meta: Any,
    ) -> InitializeResponse:
        """Answer the handshake."""
        return InitializeResponse(
            protocol_version=PROTOCOL_VERSION,
            agent_capabilities=AgentCapabilities(),
            agent_info=Implementation(name="runbook", version="1"),
        )

    async def new_session(self, cwd: str, **_unused: Any) -> NewSessionResponse:
        """Open a session in a folder."""
        session_id = new_hex_id()
        self._sessions[session_id] = _Session(Path(cwd))
        return NewSessionResponse(session_id=session_id)

    async def prompt(self, session_id: str, prompt: list[ContentBlock], **_meta: Any) -> PromptResponse:
        """Execute a runbook. Answers with an error if it cannot be read or a step of it fails."""
        session = self._sessions.get(session_id)
        if session is None or self._client is None:
            raise RequestError.invalid_params({"details": "There is no such session."})
        text = "\n".join(block.text for block in prompt if isinstance(block, TextContentBlock))
        try:
            steps = parse(text)
        except RunbookError as error:
            raise RequestError.invalid_params({"details": str(error)}) from None
        session.cancelled = False
        session.running = asyncio.create_task(Execution(self._client, session_id, session.work).run(steps))
        try:
            await session.running
        except StepFailed as failure:
            raise RequestError(STEP_FAILED, str(failure)) from None
        except asyncio.CancelledError:
            session.running.cancel()
            if not session.cancelled:
                raise
            return PromptResponse(stop_reason="cancelled")
        return PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id: str, **_meta: Any) -> None:
        """End the running step and the prompt."""
        session = self._sessions.get(session_id)
        if session is not None and session.running is not None:
            session.cancelled = True
            session.running.cancel()
