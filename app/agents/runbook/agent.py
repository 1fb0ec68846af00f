"""The agent side of the protocol: each prompt of a session is a runbook.

What a step does is in steps.py; here is only who asks, and what is answered.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.agents.errors import STEP_FAILED
from app.agents.runbook.line import INVALID_PARAMS, Client, Handler, Line, Message, Refusal
from app.agents.runbook.parser import RunbookError, parse
from app.agents.runbook.steps import Execution, StepFailed
from app.ids import new_hex_id

__all__ = ["RunbookAgent"]

_PROTOCOL_VERSION = 1


@dataclass(slots=True)
class _Session:
    work: Path
    running: asyncio.Task[None] | None = None
    cancelled: bool = False


class RunbookAgent:
    """Executes runbooks. Knows the part of the protocol that a background run needs."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._sessions: dict[str, _Session] = {}

    @property
    def methods(self) -> Mapping[str, Handler]:
        """What it answers, by the names of the protocol."""
        return {
            "initialize": self._initialize,
            "session/new": self._open,
            "session/prompt": self._perform,
            "session/cancel": self._cancel,
        }

    async def _initialize(self, _params: Message) -> Message:
        """Answer the handshake: we speak one version, and the client decides whether it fits."""
        return {
            "protocolVersion": _PROTOCOL_VERSION,
            "agentCapabilities": {},
            "agentInfo": {"name": "runbook", "version": "1"},
        }

    async def _open(self, params: Message) -> Message:
        """Open a session in a folder."""
        session_id = new_hex_id()
        self._sessions[session_id] = _Session(Path(params["cwd"]))
        return {"sessionId": session_id}

    async def _perform(self, params: Message) -> Message:
        """Execute a runbook. Answers with an error if it cannot be read or a step of it fails."""
        session = self._sessions.get(params["sessionId"])
        if session is None:
            raise Refusal(INVALID_PARAMS, "Invalid params", "There is no such session.")
        text = "\n".join(block["text"] for block in params["prompt"] if block["type"] == "text")
        try:
            steps = parse(text)
        except RunbookError as error:
            raise Refusal(INVALID_PARAMS, "Invalid params", str(error)) from None
        session.cancelled = False
        client = Client(self._line, params["sessionId"])
        session.running = asyncio.create_task(Execution(client, session.work).run(steps))
        try:
            await session.running
        except StepFailed as failure:
            raise Refusal(STEP_FAILED, str(failure)) from None
        except asyncio.CancelledError:
            session.running.cancel()
            if not session.cancelled:
                raise
            return {"stopReason": "cancelled"}
        return {"stopReason": "end_turn"}

    async def _cancel(self, params: Message) -> None:
        """End the running step and the prompt."""
        session = self._sessions.get(params["sessionId"])
        if session is not None and session.running is not None:
            session.cancelled = True
            session.running.cancel()
