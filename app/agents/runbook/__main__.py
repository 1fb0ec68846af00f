"""`python -m app.agents.runbook`: the runbook agent on standard input and output.

Each prompt of a session is a runbook, which steps.py executes.
"""

import signal
import sys
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


class RunbookAgent:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # The folder and the running turns of each session.
        self._sessions: dict[str, tuple[Path, set[Turn]]] = {}

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
        for session_id in self._sessions:
            self._cancel({"sessionId": session_id})

    def _initialize(self, _params: Message) -> Message:
        return {
            "protocolVersion": _PROTOCOL_VERSION,
            "agentCapabilities": {},
            "agentInfo": {"name": "runbook", "version": "1"},
        }

    def _open(self, params: Message) -> Message:
        session_id = new_hex_id()
        self._sessions[session_id] = (Path(params["cwd"]), set())
        return {"sessionId": session_id}

    def _begin(self, params: Message) -> Work:
        # Registered before the thread starts, so that a `session/cancel` right after the prompt finds the turn.
        if params["sessionId"] not in self._sessions:
            raise RpcFailed(INVALID_PARAMS, "Invalid params", "There is no such session.")
        turn = Turn()
        self._sessions[params["sessionId"]][1].add(turn)
        return partial(self._perform, params, turn)

    def _perform(self, params: Message, turn: Turn) -> Message:
        work, turns = self._sessions[params["sessionId"]]
        try:
            text = "\n".join(block["text"] for block in params["prompt"] if block["type"] == "text")
            client = TurnClient(self._connection, params["sessionId"], turn)
            StepExecutor(client, work).run(parse(text))
        except RunbookError as error:
            raise RpcFailed(INVALID_PARAMS, "Invalid params", str(error)) from None
        except StepFailed as failure:
            raise RpcFailed(STEP_FAILED, str(failure)) from None
        except TurnCancelled:
            return {"stopReason": "cancelled"}
        finally:
            turns.discard(turn)
        return {"stopReason": "end_turn"}

    def _cancel(self, params: Message) -> None:
        _, turns = self._sessions.get(params["sessionId"], (None, ()))
        for turn in [*turns]:
            turn.cancel()


def _main() -> None:
    # A parent that ignores SIGCHLD passes that on, and the kernel then keeps no exit status of our programs.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection = Connection(sys.stdin.buffer, sys.stdout.fileno())
    agent = RunbookAgent(connection)
    try:
        connection.serve(agent.methods)
    finally:
        agent.cancel_all()
        connection.close()


if __name__ == "__main__":
    _main()
