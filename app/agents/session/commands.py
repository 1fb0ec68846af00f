"""How people steer a live agent: a source of their commands, and a way to ask them.

A worker implements `CommandSource` on the database. Nothing here knows where commands come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # Any: JSON
from uuid import UUID

from app.agents.files.attachments import Attachment
from app.agents.session.asked import AskedQuestion
from app.agents.session.run_clock import WorkingTime
from app.agents.session.transcript import Emit
from app.enums import CommandMethod, CommandStatus
from app.masking import Masker


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a running agent; `params` as app/schemas/runs/commands.py leaves them."""

    id: UUID
    method: CommandMethod
    params: dict[str, Any]


class CommandSource(Protocol):
    """The commands to one agent. Each is handed out once, in order."""

    async def news(self) -> None:
        """Wait until there may be new commands."""

    async def fetch(self) -> list[Command]:
        """Return the commands that came since the last call."""

    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        """Record the status of a command; False if the command no longer counts."""

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Return local copies of the files of a message. Raises AgentError."""

    async def await_message(self, asked: AskedQuestion) -> bool:
        """Publish that the agent waits for a message; False if there is a command that was not fetched.

        Raises AgentStopped when the worker has lost the run; so do the methods below.
        """

    async def await_answer(self, asked: AskedQuestion) -> None:
        """Publish the agent's question."""

    async def withdraw(self, request_id: str) -> bool:
        """Publish that the question is closed; False if an answer has come."""

    async def close(self) -> bool:
        """Accept no more commands; False, with no effect, if there is one that was not fetched."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The way between an agent and the people of its run."""

    commands: CommandSource
    emit: Emit
    time: WorkingTime  # stands still while the agent waits for a person
    masker: Masker
