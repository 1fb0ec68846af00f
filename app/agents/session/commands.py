"""The interface through which people steer a running agent: commands to it, and questions of it.

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
    """A command of a person to a running agent; `params` as validated by app/schemas/runs/commands.py."""

    id: UUID
    method: CommandMethod
    params: dict[str, Any]


class CommandSource(Protocol):
    """The commands of people to one agent, each returned once and in order; and the agent's questions."""

    async def news(self) -> None:
        """Wait until there may be new commands; may return without any."""

    async def fetch(self) -> list[Command]:
        """Return the commands since the last call, in order."""

    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        """Record the progress of a command; return False if it is settled already."""

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Return local copies of the files that are attached to a message. Raises AgentError."""

    async def await_message(self, asked: ShownQuestion) -> bool:
        """Publish that the agent waits for a message; return False if there are commands to fetch first.

        Raises AgentStopped if the worker has lost the run, as do the methods below.
        """

    async def await_answer(self, asked: ShownQuestion) -> None:
        """Publish a question of the agent, which then waits for the answer."""

    async def withdraw(self, request_id: str) -> bool:
        """Close a question that the agent does not wait for any more; return False if it was answered."""

    async def close(self) -> bool:
        """Accept no more commands; return False, with no effect, if there are commands to fetch first."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The connection between an agent and the people of its run: commands, log, clock and masking."""

    commands: CommandSource
    emit: Emit
    time: WorkingTime  # stands still while the agent waits for a person
    masker: Masker
