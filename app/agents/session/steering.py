"""Sends people's messages to an agent during its turn, and its options at any time.

It depends on the agent whether it accepts messages while it works. If not, they are kept until the turn's end.
"""

import asyncio
from bisect import insort
from collections.abc import Callable
from uuid import UUID

from acp.helpers import ContentBlock

from app.agents.errors import AgentError
from app.agents.session.agent_session import AgentSession
from app.agents.session.command_source import Command, RunChannel
from app.agents.session.prompt_content import log_message, message_blocks
from app.enums import CommandStatus

_ANSWER_SECONDS = 30.0
# The category of the option that is the permission mode.
_MODE = "mode"
_HELD_BACK = "It is held back until the agent's question is closed."
_UNKNOWN = "The agent did not say whether it took the message."


class Steering:
    """Sends people's messages to an agent that is working, without waiting for the end of its turn."""

    def __init__(
        self,
        channel: RunChannel,
        messages: list[Command],
        *,
        is_working: Callable[[], bool],
        is_asking: Callable[[], bool],
    ) -> None:
        self._channel = channel
        self._messages = messages
        self._is_working = is_working
        self._is_asking = is_asking
        self._changed = asyncio.Event()
        self._giving = asyncio.Lock()
        self._given: list[Command] = []
        self._held_back: set[UUID] = set()

    def wake(self) -> None:
        """Make `send_messages` look at the queued messages again: one came, a turn began or a question was closed."""
        self._changed.set()

    async def send_messages(self, session: AgentSession) -> None:
        """Send queued messages while the agent works, until cancelled; none while a question is shown."""
        while session.can_be_steered:
            await self._changed.wait()
            self._changed.clear()
            async with self._giving:
                while (message := self._next()) and self._is_working():
                    if self._is_asking():
                        await self._hold_back()
                        break
                    self._messages.remove(message)
                    if not await self._give(session, message):
                        break

    async def end_turn(self) -> None:
        """Mark the messages of the turn that is over as consumed, after one that is being sent."""
        async with self._giving:
            messages, self._given = self._given, []
        for message in messages:
            await self._channel.commands.settle(message, CommandStatus.CONSUMED)

    def _next(self) -> Command | None:
        # A message with `steer: false` waits for the next turn.
        return next((each for each in self._messages if each.params.get("steer") is not False), None)

    async def _give(self, session: AgentSession, message: Command) -> bool:
        # Returns False if the message is kept for the next prompt.
        commands = self._channel.commands
        blocks: list[ContentBlock] = []
        # Stored before it is sent: people must not take back a message that the agent has.
        if not await commands.settle(message, CommandStatus.DELIVERED, is_logged=False):
            return True
        try:
            blocks = await message_blocks(session, message, commands)
            async with asyncio.timeout(_ANSWER_SECONDS):
                is_taken = await session.steer(blocks)
        except TimeoutError:
            await commands.settle(message, CommandStatus.DROPPED, _UNKNOWN)
            return True
        except AgentError:
            # Not reported here: the message is sent again as a prompt, which then fails in the same way.
            is_taken = False
        if not is_taken:
            await commands.settle(message, CommandStatus.ACCEPTED, is_logged=False)
            insort(self._messages, message)
            return False
        self._given.append(message)
        await commands.settle(message, CommandStatus.DELIVERED)
        await log_message(self._channel, session, message, blocks)
        return True

    async def _hold_back(self) -> None:
        for message in [each for each in self._messages if each.id not in self._held_back]:
            self._held_back.add(message.id)
            await self._channel.commands.settle(message, CommandStatus.ACCEPTED, _HELD_BACK)


class ConfigChanges:
    """The options that people set for one agent: queued until the agent has started, then set in order."""

    def __init__(self, channel: RunChannel, *, on_mode: Callable[[str], None]) -> None:
        self._channel = channel
        self._on_mode = on_mode
        self._queued: asyncio.Queue[Command] = asyncio.Queue()

    def put(self, command: Command) -> None:
        self._queued.put_nowait(command)

    async def apply_queued(self, session: AgentSession) -> None:
        while not self._queued.empty():
            await self._apply(session, self._queued.get_nowait())

    async def follow(self, session: AgentSession) -> None:
        """Set each option as soon as it is queued, until cancelled."""
        while True:
            await self._apply(session, await self._queued.get())

    async def _apply(self, session: AgentSession, command: Command) -> None:
        option_id, value = command.params["config_id"], command.params["value"]
        await self._channel.commands.settle(command, CommandStatus.DELIVERED)
        try:
            category = await session.configure(option_id, value)
        except AgentError as error:
            await self._channel.drop(command, error.message)
            return
        if category is None:
            await self._channel.drop(
                command, f"The agent does not offer '{option_id}' with the value '{value}'."
            )
            return
        if category == _MODE:
            self._on_mode(str(value))
        await self._channel.commands.settle(command, CommandStatus.CONSUMED)
