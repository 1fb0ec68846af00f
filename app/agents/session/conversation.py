"""The conversation of a run with its agent: turns in order, steered by commands (contract 6.4, 13.6).

An agent that accepts messages while it works gets them at once (steering.py); any other agent gets the next
message after its turn. Without a next message, a background run is over, and an interactive run waits for a
person, for a limited time. The result of the run is the result of its last turn.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import assert_never

from acp.helpers import ContentBlock, text_block

from app.agents.errors import AgentCancelled, AgentError, AgentFailed, AgentStopped
from app.agents.session.budget import CANCEL_SECONDS, INTERRUPT_SECONDS, Spender
from app.agents.session.client import Answer, PermissionRequest
from app.agents.session.commands import Channel, Command
from app.agents.session.messages import log_message, message_blocks
from app.agents.session.permissions import decide, is_for_people
from app.agents.session.questions import Questions
from app.agents.session.session import AgentSession
from app.agents.session.steering import Steering
from app.agents.session.transcript import notification_entry
from app.agents.session.transport import Message
from app.agents.session.usage import Observer
from app.clock import utcnow
from app.enums import CommandMethod, CommandStatus, QuestionKind
from app.shown_question import ShownQuestion
from app.unicode import storable

_UNFINISHED = {
    "max_tokens": "The agent stopped because it ran out of tokens.",
    "max_turn_requests": "The agent stopped because it made too many requests to its model.",
    "refusal": "The agent refused to do this.",
    "cancelled": "The agent was cancelled.",
}
_REASON_CHARACTERS = 10_000
# Returns the correction to request from the agent; None if its work is good enough.
Review = Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPolicy:
    """Whether a run is interactive (the agent asks people and waits for them), and how long it waits for an answer."""

    # Whether a person follows the run: the agent waits for that person's messages, and asks its questions.
    interactive: bool = False
    # How long the agent waits for a person, each time.
    human_timeout: timedelta = timedelta(minutes=15)


class _Phase(Enum):
    """The phase of a conversation, on which the effects of the commands `cancel` and `close` depend."""

    PREPARING = auto()
    WORKING = auto()
    # A turn is over, and the next step is being decided.
    BETWEEN = auto()
    WAITING = auto()


class Conversation:
    """The conversation of a run with its agent, from the first prompt to the end.

    It sends prompts and people's messages, executes people's commands, and asks people the agent's questions. Start
    `listen` in an asyncio task before the agent, and run it until `hold` has returned.
    """

    def __init__(
        self,
        channel: Channel,
        policy: TurnPolicy,
        observer: Observer,
        spender: Spender,
        *,
        mode: str | None,
        review: Review | None = None,
    ) -> None:
        """Prepare a conversation; `review` may ask the agent for one correction after its last message."""
        self._channel = channel
        self._commands = channel.commands
        self._policy = policy
        self._observer = observer
        self._spender = spender
        self._mode = mode
        self._review = review
        self._is_reviewed = False
        self._taking = asyncio.Lock()
        self._phase = _Phase.PREPARING
        self._session: AgentSession | None = None
        self._messages: deque[Command] = deque()
        self._steering = Steering(
            channel,
            self._messages,
            is_working=lambda: self.is_working and not self._cancels,
            is_asking=lambda: self._questions.is_open,
        )
        self._questions = Questions(
            channel,
            human_timeout=policy.human_timeout,
            catch_up=self._take_commands,
            on_close=self._steering.wake,
        )
        self._config_changes: asyncio.Queue[Command] = asyncio.Queue()
        self._wakeup = asyncio.Event()
        # The `cancel` commands for the current turn.
        self._cancels: list[Command] = []
        self._background_tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._failure: AgentError | None = None
        self.is_cancelled = False
        self.fault: Exception | None = None

    @property
    def is_working(self) -> bool:
        """Whether the agent is working on a prompt now."""
        return self._phase is _Phase.WORKING

    async def record(self, entry: Message) -> None:
        """Count the usage that an entry from the agent reports, then write the entry to the run's log."""
        self._observer.see(entry)
        await self._channel.emit(entry)

    async def listen(self) -> None:
        """Receive and execute people's commands until cancelled. An unexpected exception ends the run."""
        await self._supervise(self._follow_commands)

    async def decide(self, question: PermissionRequest) -> Answer | None:
        """Return the answer to the agent's permission request; None cancels the request.

        If the run is interactive and its permission mode requires it, ask people and wait for their answer. Otherwise
        the permission mode decides.
        """
        if self._policy.interactive and is_for_people(self._mode, question.tool_call.get("kind")):
            with suppress(AgentStopped):
                return await self._questions.ask(question)
            return None
        option_id = decide(self._mode, question.options)
        return None if option_id is None else Answer(option_id)

    @property
    def people(self) -> Questions | None:
        """The object that asks people the agent's questions; None if the run is not interactive."""
        return self._questions if self._policy.interactive else None

    async def hold(self, session: AgentSession, work: Path, opening: Sequence[ContentBlock]) -> None:
        """Converse with a started agent until the conversation is over.

        Args:
            session: the started session.
            work: the workspace, for files attached to messages.
            opening: the first prompt.

        Raises:
            AgentError: the last turn failed, the agent's process ended, the task's budget is spent, or the
                worker has lost its claim on the run.

        """
        self._session = session
        while not self._config_changes.empty():
            await self._configure(session, self._config_changes.get_nowait())
        self._background(partial(self._apply_config_changes, session))
        self._background(partial(self._steering.send_messages, session, work))
        try:
            await self._turn(session, opening)
            while (message := await self._next_message(session)) is not None:
                await self._deliver(session, work, message)
        finally:
            tasks = tuple(self._background_tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    async def _turn(self, session: AgentSession, blocks: Sequence[ContentBlock]) -> None:
        """Make the agent take a turn; keep its failure, or its early end, as the failure of the run."""
        failure: AgentError | None = None
        self._phase = _Phase.WORKING
        self._observer.begin_turn()
        try:
            stop_reason = await self._spender.prompt(
                session, blocks, is_cancelled=lambda: bool(self._cancels)
            )
        except AgentFailed as error:
            stop_reason, failure = "error", error
        finally:
            self._phase = _Phase.BETWEEN
            cancels, self._cancels = self._cancels, []
        if stop_reason in _UNFINISHED:
            failure = AgentFailed(_UNFINISHED[stop_reason])
        elif self._observer.has_failed and failure is None:
            failure = AgentFailed(
                f"The agent '{session.name}' could not go on: {session.last_message[:_REASON_CHARACTERS]}"
            )
        # Set before the first await: a command that comes from now on is not part of the turn.
        self._failure = AgentCancelled() if cancels else failure
        for cancel in cancels:
            await self._commands.settle(cancel, CommandStatus.CONSUMED)
        await self._steering.end_turn()
        if failure is not None and not cancels and self._policy.interactive:
            # The conversation continues, so the end of the run will not report this.
            await self._channel.emit(notification_entry("_posthog/error", {"message": failure.message}))
        turn = {"sessionId": session.session_id, "stopReason": stop_reason}
        await self._channel.emit(notification_entry("_posthog/turn_complete", turn))

    async def _next_message(self, session: AgentSession) -> Command | None:
        """Return the next message for the agent; None if the conversation is over."""
        is_awaited = self._policy.interactive
        while True:
            if self._messages and not self._is_closed:
                return self._messages.popleft()
            if not is_awaited or self._is_closed:
                if await self._correct(session):
                    continue
                if await self._commands.close():
                    return None
                await self._take_commands()
            else:
                is_awaited = await self._wait_for_message(session)

    async def _correct(self, session: AgentSession) -> bool:
        """Give the agent one more turn if the review requests a correction; the result is checked later."""
        if self._review is None or self._is_reviewed or self._is_closed or self._failure is not None:
            return False
        self._is_reviewed = True
        correction = await self._review()
        if correction is None:
            return False
        await self._turn(session, [text_block(correction)])
        return True

    async def _wait_for_message(self, session: AgentSession) -> bool:
        """Wait for a command; return False if none came in time. Raises AgentCrashed."""
        self._phase = _Phase.WAITING
        try:
            if not await self._commands.await_message(self._awaited_message(session)):
                self._phase = _Phase.BETWEEN
                await self._take_commands()
                return True
            with self._channel.time.pause(self._policy.human_timeout) as seconds:
                return await self._is_woken(session, seconds)
        finally:
            self._phase = _Phase.BETWEEN

    def _awaited_message(self, session: AgentSession) -> ShownQuestion:
        now = utcnow()
        return ShownQuestion(
            kind=QuestionKind.MESSAGE,
            title="The agent is done and waits for a message.",
            detail=self._channel.masker.text(storable(session.last_message)),
            opened_at=now,
            expires_at=now + self._policy.human_timeout,
        )

    async def _is_woken(self, session: AgentSession, seconds: float) -> bool:
        if self._messages or self._is_closed:
            return True
        self._wakeup.clear()
        woken, ended = asyncio.create_task(self._wakeup.wait()), asyncio.create_task(session.raise_at_end())
        try:
            done, _ = await asyncio.wait({woken, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ended in done:
                await ended
            return woken in done
        finally:
            woken.cancel()
            ended.cancel()
            await asyncio.gather(woken, ended, return_exceptions=True)

    async def _deliver(self, session: AgentSession, work: Path, message: Command) -> None:
        """Send a message to the agent, and wait for the end of its turn."""
        try:
            blocks = await message_blocks(session, work, message, self._commands)
        except AgentError as error:
            await self._drop(message, error.message)
            return
        if not await self._commands.settle(message, CommandStatus.DELIVERED):
            return
        await log_message(self._channel, session, message, blocks)
        await self._turn(session, blocks)
        await self._commands.settle(message, CommandStatus.CONSUMED)

    async def _follow_commands(self) -> None:
        while True:
            await self._take_commands()
            await self._commands.news()

    async def _take_commands(self) -> None:
        """Fetch new commands, and execute or queue each."""
        async with self._taking:
            for command in await self._commands.fetch():
                await self._obey(command)

    async def _obey(self, command: Command) -> None:
        """Execute a command at once, without waiting for the agent."""
        match command.method:
            case CommandMethod.USER_MESSAGE:
                self._messages.append(command)
                self._wakeup.set()
                self._steering.wake()
            case CommandMethod.SET_CONFIG_OPTION:
                self._config_changes.put_nowait(command)
            case CommandMethod.PERMISSION_RESPONSE:
                if self._questions.take(command):
                    await self._settle_at_once(command)
                else:
                    await self._drop(command, "The agent does not wait for this answer any more.")
            case CommandMethod.CANCEL:
                await self._cancel(command)
            case CommandMethod.CLOSE:
                await self._close(command)
            case _:
                assert_never(command.method)

    async def _cancel(self, command: Command) -> None:
        match self._phase:
            case _Phase.WORKING:
                self._cancels.append(command)
                self._questions.cancel_all()
                self._background(partial(self._leave_turn, command))
                await self._commands.settle(command, CommandStatus.DELIVERED)
            case _Phase.PREPARING:
                await self._settle_at_once(command)
                self._end_cancelled()
            case _Phase.BETWEEN if not self._policy.interactive:
                # The command was sent during the turn, so it overrides the result of the turn.
                self._failure = AgentCancelled()
                await self._settle_at_once(command)
            case _Phase.BETWEEN | _Phase.WAITING:
                await self._drop(command, "The agent was doing nothing that could be cancelled.")
            case _:
                assert_never(self._phase)

    async def _leave_turn(self, command: Command) -> None:
        """Cancel the agent's turn; end the run if the agent does not obey."""
        if command in self._cancels and (session := self._session) is not None:
            await session.cancel()
        await asyncio.sleep(INTERRUPT_SECONDS if self._policy.interactive else CANCEL_SECONDS)
        if command in self._cancels:
            self._end_cancelled()

    def _background(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step as a background task, until the conversation is over."""
        task = asyncio.create_task(self._supervise(step))
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    async def _supervise(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step; its fault ends the run: a run that cannot be steered or stopped must not continue."""
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - raised again where the run's end is explained
            self.fault = self.fault or error
            self._channel.time.end()

    async def _close(self, command: Command) -> None:
        await self._settle_at_once(command)
        if self._phase is _Phase.WAITING:
            self._is_closed = True
            self._wakeup.set()
        elif not self._is_closed:  # else it is the second of a double click
            self._end_cancelled()

    def _end_cancelled(self) -> None:
        self.is_cancelled = True
        self._channel.time.end()

    async def _apply_config_changes(self, session: AgentSession) -> None:
        while True:
            await self._configure(session, await self._config_changes.get())

    async def _configure(self, session: AgentSession, command: Command) -> None:
        option_id, value = command.params["config_id"], command.params["value"]
        await self._commands.settle(command, CommandStatus.DELIVERED)
        try:
            category = await session.configure(option_id, value)
        except AgentError as error:
            await self._drop(command, error.message)
            return
        if category is None:
            await self._drop(command, f"The agent does not offer '{option_id}' with the value '{value}'.")
            return
        if category == "mode":
            self._mode = str(value)
        await self._commands.settle(command, CommandStatus.CONSUMED)

    async def _settle_at_once(self, command: Command) -> None:
        await self._commands.settle(command, CommandStatus.DELIVERED)
        await self._commands.settle(command, CommandStatus.CONSUMED)

    async def _drop(self, command: Command, reason: str) -> None:
        await self._commands.settle(command, CommandStatus.DROPPED, self._channel.masker.text(reason))
