"""The runbook agent's methods of the Agent Client Protocol: each prompt of a session is a runbook.

steps.py executes the runbook.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from app.agents.errors import STEP_FAILED
from app.agents.runbook.connection import (
    INVALID_PARAMS,
    Connection,
    Handler,
    Message,
    RpcFailed,
    Turn,
    TurnCancelled,
    TurnClient,
    Work,
)
from app.agents.runbook.parser import RunbookError, parse
from app.agents.runbook.steps import StepExecutor, StepFailed
from app.ids import new_hex_id

_PROTOCOL_VERSION = 1


class _Session:
    def __init__(self, work: Path) -> None:
        self.work = work
        self.turns: set[Turn] = set()

    def cancel(self) -> None:
        for turn in self.turns.copy():
            turn.cancel()


class RunbookAgent:
    """The built-in agent: executes each prompt as a list of steps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sessions: dict[str, _Session] = {}

    @property
    def methods(self) -> Mapping[str, Handler]:
        """The handlers of the client's requests and notifications, by method name of the Agent Client Protocol."""
        return {
            "initialize": self._initialize,
            "session/new": self._open,
            "session/prompt": self._begin,
            "session/cancel": self._cancel,
        }

    def cancel_all(self) -> None:
        """Cancel the running turns of all sessions; do not wait for their threads."""
        for session in self._sessions.values():
            session.cancel()

    def _initialize(self, _params: Message) -> Message:
        return {
            "protocolVersion": _PROTOCOL_VERSION,
            "agentCapabilities": {},
            "agentInfo": {"name": "runbook", "version": "1"},
        }

    def _open(self, params: Message) -> Message:
        session_id = new_hex_id()
        self._sessions[session_id] = _Session(Path(params["cwd"]))
        return {"sessionId": session_id}

    def _begin(self, params: Message) -> Work:
        # At once, so that a `session/cancel` right after the prompt cancels it.
        session = self._sessions.get(params["sessionId"])
        if session is None:
            raise RpcFailed(INVALID_PARAMS, "Invalid params", "There is no such session.")
        turn = Turn()
        session.turns.add(turn)
        return partial(self._perform, params, session, turn)

    def _perform(self, params: Message, session: _Session, turn: Turn) -> Message:
        try:
            text = "\n".join(block["text"] for block in params["prompt"] if block["type"] == "text")
            client = TurnClient(self._connection, params["sessionId"], turn)
            StepExecutor(client, session.work, turn).run(parse(text))
        except RunbookError as error:
            raise RpcFailed(INVALID_PARAMS, "Invalid params", str(error)) from None
        except StepFailed as failure:
            raise RpcFailed(STEP_FAILED, str(failure)) from None
        except TurnCancelled:
            return {"stopReason": "cancelled"}
        finally:
            session.turns.discard(turn)
        return {"stopReason": "end_turn"}

    def _cancel(self, params: Message) -> None:
        session = self._sessions.get(params["sessionId"])
        if session is not None:
            session.cancel()
