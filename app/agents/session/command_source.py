"""The interface through which people steer a running agent: commands to it, and questions of it.

A worker implements `CommandSource` on the database. This package does not know where commands come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from app.agents.files.attachments import Attachment
from app.agents.masking import Masker
from app.agents.session.run_clock import WorkingTime
from app.agents.session.transcript import Emit
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandMethod, CommandStatus
from app.json_types import JsonDict

INTERRUPT_SECONDS = 10.0
CANCEL_SECONDS = 1.5
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPolicy:
    """Whether a run is interactive (the agent asks people and waits for them), and how long it waits for an answer."""

    # Whether the agent waits for messages of people, and asks them its questions.
    interactive: bool = False
    # How long the agent waits for a message or an answer.
    human_timeout: timedelta = timedelta(minutes=15)
    # How long the agent may take to leave a cancelled turn: of an interactive run, and of another.
    interrupt_seconds: float = INTERRUPT_SECONDS
    cancel_seconds: float = CANCEL_SECONDS
    close_seconds: float = CLOSE_SECONDS  # how long an agent may take to end by itself


@dataclass(frozen=True, slots=True)
class Command:
    """A command with valid `params`; `is_repeated`: an earlier agent, which was stopped with its worker, obeyed it."""

    id: UUID
    method: CommandMethod
    params: JsonDict
    is_repeated: bool = False
    position: int = 0  # grows with each command to the run

    def __lt__(self, other: "Command") -> bool:
        """Return whether the agent gets this message first: those that steer it do, in the order of arrival."""
        mine, others = (not each.params.get("steer") for each in (self, other))
        return (mine, self.position) < (others, other.position)


class Phase(Enum):
    """The phase of a conversation, on which the effects of the commands `cancel` and `close` depend."""

    PREPARING = auto()
    # From the arrival of a message until the agent's turn with it begins, and while those of a turn are settled.
    DELIVERING = auto()
    WORKING = auto()
    BETWEEN = auto()  # between two turns: the next step is being decided, or the agent waits for people


class Stop(Enum):
    """The part of a run that a `cancel` or `close` ends."""

    RUN = auto()  # ends at once, as cancelled
    TURN = auto()
    RESULT = auto()  # does not count: the run ends as cancelled after its last turn
    CONVERSATION = auto()  # ends, and the result of its last turn is that of the run
    WAITING = auto()  # ends: the run is over when the agent has worked on the messages that have come
    NOTHING = auto()


def decide_stop(command: Command, phase: Phase, *, interactive: bool) -> Stop:
    """Return the part of an interactive or background run that a `cancel` or `close` ends in this phase."""
    match command.method, phase, interactive:
        case CommandMethod.CLOSE, _, _ if command.is_repeated:
            return Stop.WAITING
        case CommandMethod.CLOSE, Phase.BETWEEN, True:
            return Stop.CONVERSATION
        case CommandMethod.CANCEL, Phase.BETWEEN, _:
            # A run that is not interactive does not wait between turns, so the cancel was meant for its turn.
            return Stop.NOTHING if interactive else Stop.RESULT
        case CommandMethod.CANCEL, Phase.DELIVERING | Phase.WORKING, _:
            return Stop.TURN
        case _:
            return Stop.RUN


class CommandSource(Protocol):
    """Where a conversation gets people's commands and publishes questions; a worker has it on the database."""

    async def news(self) -> None:
        """Wait until new commands may have arrived. It may also return when there are none."""

    async def fetch(self) -> list[Command]:
        """Return new commands, oldest first and each once, without waiting."""

    def is_open(self, command: Command) -> bool:
        """Return whether a command that was fetched waits or is with the agent; no longer if people took it back."""

    async def settle(
        self, command: Command, status: CommandStatus, reason: str | None = None, *, is_logged: bool = True
    ) -> bool:
        """Store the status of a command, with a reason for people; False if it is finished, or people took it back."""

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Download the attached files of a message, by artifact id. Raises AgentError."""

    async def await_message(self, asked: ShownQuestion) -> bool:
        """Publish that the agent waits; False: fetch commands first. Raises AgentStopped, as do the next three."""

    def resume(self) -> None:
        """Note that the run works again, because no message came in time."""

    async def await_answer(self, asked: ShownQuestion) -> None:
        """Store and publish a question, and return; the answer comes as a command."""

    async def withdraw(self, request_id: str) -> bool:
        """Close the question with this id without an answer; False if one is stored already."""

    async def close(self) -> bool:
        """Stop accepting commands; if there are some to fetch first, change nothing and return False."""

    async def end(self) -> bool:
        """Stop accepting commands, drop those left over, and return whether they had a `cancel` or `close`."""


@dataclass(frozen=True, slots=True)
class RunChannel:
    """The access of one conversation to its run: commands, log, working time and the masking of secrets."""

    commands: CommandSource
    emit: Emit
    time: WorkingTime  # stands still while the agent waits for a person
    masker: Masker

    async def consume(self, command: Command, reason: str | None = None) -> None:
        """Store that a command was delivered and consumed at once, with a reason for people."""
        await self.commands.settle(command, CommandStatus.DELIVERED, reason)
        await self.commands.settle(command, CommandStatus.CONSUMED, reason)

    async def drop(self, command: Command, reason: str) -> None:
        """Store that a command is dropped, with a reason for people, in which secrets are masked."""
        await self.commands.settle(command, CommandStatus.DROPPED, self.masker.text(reason))
