"""What a conversation with an agent needs from whoever steers it: commands of people, and a way to ask them.

A worker implements `Mailbox` on the database. Nothing here knows where commands come from.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # Any: JSON
from uuid import UUID

from typing_extensions import override

from app.agents.base.attachments import Attachment
from app.enums import CommandMethod, CommandStatus

__all__ = ["Command", "Mailbox", "Nobody"]


@dataclass(frozen=True, slots=True)
class Command:
    """Something that people told the agent; `params` as app/schemas/run_commands.py leaves them."""

    id: UUID
    method: CommandMethod
    params: dict[str, Any]


class Mailbox(Protocol):
    """Where commands to one agent arrive. Each is handed out once, in order."""

    async def news(self) -> None:
        """Return when there may be something new."""
        ...

    async def fetch(self) -> list[Command]:
        """Return what has come since the last time."""
        ...

    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        """Note how far a command has come; False if it does not count any more, for whatever reason."""
        ...

    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        """Return copies of files that a message comes with. Raises AgentError."""
        ...

    async def await_message(self) -> bool:
        """Tell people that the agent waits for a message; False if something came that was not fetched.

        Raises AgentStopped when the run is not ours any more; so do the methods below.
        """
        ...

    async def await_answer(self, request: dict[str, Any]) -> None:
        """Tell people what the agent asks."""
        ...

    async def withdraw(self, request_id: str) -> bool:
        """Tell people that the agent waits for this answer no longer; False if one has come."""
        ...

    async def close(self) -> bool:
        """Take nothing any more; False, and nothing done, if something came that was not fetched."""
        ...


class Nobody(Mailbox):
    """A run that nobody steers."""

    @override
    async def news(self) -> None:
        await asyncio.Event().wait()

    @override
    async def fetch(self) -> list[Command]:
        return []

    @override
    async def settle(self, command: Command, status: CommandStatus, reason: str | None = None) -> bool:
        return False

    @override
    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        return []

    @override
    async def await_message(self) -> bool:
        return True

    @override
    async def await_answer(self, request: dict[str, Any]) -> None:
        pass

    @override
    async def withdraw(self, request_id: str) -> bool:
        return True

    @override
    async def close(self) -> bool:
        return True
