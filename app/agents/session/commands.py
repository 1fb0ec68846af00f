"""The interface by which people steer a live agent: a source of commands, and methods to ask questions.

A worker implements `CommandSource` on the database. This package does not know where commands come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # Any: JSON
from uuid import UUID

from app.agents.files.attachments import Attachment
from app.agents.session.run_clock import WorkingTime
from app.agents.session.shown_question import ShownQuestion
from app.agents.session.transcript import Emit
from app.enums import CommandMethod, CommandStatus
from app.masking import Masker


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a running agent; `params` as validated by app/schemas/runs/commands.py."""

    id: UUID
    method: CommandMethod
    params: dict[str, Any]


class CommandSource(Protocol):
    """The commands to one agent. Each is returned once, in order."""

    async def news(self) -> None:
        """Wait until there may be new commands."""

    async def fetch(self) -> list[Command]:
        """Return the commands since the last call."""

    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        """Record the progress of a command; return False if it is settled already."""

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Return local copies of the files of a message. Raises AgentError."""

    async def await_message(self, asked: ShownQuestion) -> bool:
        """Publish that the agent waits for a message; return False if a command has not been fetched.

        Raises AgentStopped if the worker has lost the run, as do the methods below.
        """

    async def await_answer(self, asked: ShownQuestion) -> None:
        """Publish the agent's question."""

    async def withdraw(self, request_id: str) -> bool:
        """Close the question and publish that; return False if it was answered before."""

    async def close(self) -> bool:
        """Accept no more commands; return False, with no effect, if a command has not been fetched."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The connection between an agent and the people of its run."""

    commands: CommandSource
    emit: Emit
    time: WorkingTime  # stands still while the agent waits for a person
    masker: Masker
