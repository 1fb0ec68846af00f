"""The interface through which people steer a running agent: commands to it, and questions of it.

A worker implements `CommandSource` on the database. This package does not know where commands come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # Any: JSON
from uuid import UUID

from app.agents.files.attachments import Attachment
from app.agents.session.run_clock import WorkingTime
from app.agents.session.transcript import Emit
from app.enums import CommandMethod, CommandStatus
from app.masking import Masker
from app.shown_question import ShownQuestion


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a person sent to a running agent: a message, an answer, a cancel and the like.

    `params` were validated when the API received the command.
    """

    id: UUID
    method: CommandMethod
    params: dict[str, Any]


class CommandSource(Protocol):
    """The interface between the conversation with an agent and the people who steer the agent.

    The conversation receives people's commands here, and publishes the agent's questions. A worker implements it on
    the database.
    """

    async def news(self) -> None:
        """Wait until there may be new commands. May return although there are none."""

    async def fetch(self) -> list[Command]:
        """Return the commands that came since the last call, in order; each command is returned once."""

    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        """Store the new status of a command, with a reason for people.

        Return False if the command is already finished.
        """

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Download the files that are attached to a message, and return the local copies.

        Raises:
            AgentError: a file is not available.

        """

    async def await_message(self, asked: ShownQuestion) -> bool:
        """Publish that the agent has finished its turn and waits for a message; `asked` is what people are shown.

        Return False, and publish nothing, if there are commands to fetch first.

        Raises:
            AgentStopped: the worker has lost its claim of the run.

        """

    async def await_answer(self, asked: ShownQuestion) -> None:
        """Store and publish a question of the agent. Returns at once; the answer comes as a command.

        Raises:
            AgentStopped: the worker has lost its claim of the run.

        """

    async def withdraw(self, request_id: str) -> bool:
        """Close the question with this id without an answer. Return False if an answer was stored before.

        Raises:
            AgentStopped: the worker has lost its claim of the run.

        """

    async def close(self) -> bool:
        """Stop accepting commands for the run. Return False, and change nothing, if there are commands to fetch first.

        Raises:
            AgentStopped: the worker has lost its claim of the run.

        """


@dataclass(frozen=True, slots=True)
class Channel:
    """The interfaces of one conversation to its surroundings: people's commands, the run's log, clock and masking."""

    commands: CommandSource
    emit: Emit
    time: WorkingTime  # stands still while the agent waits for a person
    masker: Masker
