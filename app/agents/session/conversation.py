"""The conversation of a run with its agent: turns in order, steered by commands (contract 6.4, 13.6).

Messages reach an agent at once if it accepts them while it works (steering.py), else after its turn.
"""

import asyncio
from bisect import insort
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from acp.helpers import ContentBlock, text_block

from app.agents.adapters.adapter import FailureMark
from app.agents.errors import AgentCancelled, AgentError, AgentFailed, AgentStopped, unfinished
from app.agents.session.agent_questions import Questions
from app.agents.session.agent_session import AgentSession
from app.agents.session.budget import Spender
from app.agents.session.command_source import Command, Phase, RunChannel, Stop, TurnPolicy, decide_stop
from app.agents.session.permissions import PermissionAnswer, PermissionRequest, decide, is_for_people
from app.agents.session.prompt_content import awaited_message, log_message, message_blocks
from app.agents.session.steering import ConfigChanges, Steering
from app.agents.session.transport import Message
from app.agents.session.usage_meter import value_at
from app.coroutines.periodic import cancel_all
from app.dialogue.agent_reports import notification_entry
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandMethod, CommandStatus

Step = Callable[[], Awaitable[None]]


class BackgroundSteps:
    """Steps beside the turns of one conversation. An unexpected exception of one is kept as `fault`."""

    def __init__(self, on_fault: Callable[[], None]) -> None:
        """Prepare; `on_fault` ends the run: one that cannot be steered or stopped must not continue."""
        self.fault: Exception | None = None
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, step: Step) -> None:
        """Run a step in a task, until it returns or `stop` is called."""
        task = asyncio.create_task(self.run(step))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, step: Step) -> None:
        """Run a step, and return when it has ended. Raises nothing but CancelledError."""
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - raised again where the run's end is explained
            self.fault = self.fault or error
            self._on_fault()

    async def stop(self) -> None:
        await cancel_all(self._tasks)


async def wait_unless_failed(event: asyncio.Event, step: Step, seconds: float) -> bool:
    """Wait for an event, at most `seconds`. `step` runs meanwhile; its error is raised here."""
    woken, failing = asyncio.create_task(event.wait()), asyncio.ensure_future(step())
    try:
        done, _ = await asyncio.wait({woken, failing}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if failing in done:
            await failing
        return woken in done
    finally:
        await cancel_all((woken, failing))


_REASON_CHARACTERS = 10_000
_ENDED = "The run is cancelled."
_CLOSED_EARLY = "The agent did not wait for people, so the run is cancelled."
_CANCELLED = "It was cancelled before the agent's turn."
# Returns the correction to request from the agent; None if its work is good enough.
Review = Callable[[], Awaitable[str | None]]


class Conversation:
    """The conversation of a run with its agent. Start `listen` before the agent, and run it until `hold` returns."""

    def __init__(
        self,
        channel: RunChannel,
        policy: TurnPolicy,
        spender: Spender,
        *,
        mode: str | None,
        failure_mark: FailureMark | None = None,
        review: Review | None = None,
    ) -> None:
        self._channel = channel
        self._commands = channel.commands
        self._policy = policy
        self._spender = spender
        self._mode = mode
        self._failure_mark = failure_mark
        self._has_failed = False  # whether the agent has marked the current turn as failed
        self._review = review
        self._is_reviewed = False
        self._taking = asyncio.Lock()
        self._phase = Phase.PREPARING
        self._session: AgentSession | None = None
        self._messages: list[Command] = []  # in their order
        self._steering = Steering(
            channel,
            self._messages,
            is_working=lambda: self.is_working and not self._cancels,
            is_asking=lambda: self._questions.is_open,
        )
        self._questions = Questions(
            channel,
            human_timeout=policy.human_timeout,
            catch_up=lambda: self._background.run(self._take_commands),
            on_close=self._steering.wake,
        )
        self._config_changes = ConfigChanges(channel, on_mode=self._set_mode)
        self._wakeup = asyncio.Event()
        # The `cancel` commands for the current turn, or for the next one if there is a message for it.
        self._cancels: list[Command] = []
        self._background = BackgroundSteps(on_fault=channel.time.end)
        self._is_closed = False
        self._is_over = False
        # The question for a message without an answer in time. It stays open until the run ends or continues.
        self._unanswered: ShownQuestion | None = None
        self._waits_for_people = policy.interactive
        self._failure: AgentError | None = None
        self.is_cancelled = False

    @property
    def fault(self) -> Exception | None:
        """The unexpected exception that ended the run, or None."""
        return self._background.fault

    @property
    def is_working(self) -> bool:
        return self._phase is Phase.WORKING

    async def record(self, entry: Message) -> None:
        """Note the usage or the failure that an entry from the agent reports, then write the entry to the run's log."""
        update = value_at(entry, "notification.params.update")
        if isinstance(update, dict):
            self._spender.meter.see(update)
            mark = self._failure_mark
            if mark is not None and (value := value_at(update.get("_meta"), mark.meta)) is not None:
                self._has_failed = value == mark.equals
        await self._channel.emit(entry)

    async def listen(self) -> None:
        """Receive and execute people's commands until cancelled. An unexpected exception ends the run."""
        await self._background.run(self._follow_commands)

    async def decide(self, question: PermissionRequest) -> PermissionAnswer | None:
        """Answer a permission request by the permission mode, or by people if it says so; None cancels it."""
        if self._policy.interactive and is_for_people(self._mode, question.tool_call.get("kind")):
            with suppress(AgentStopped):
                return await self._questions.ask(question)
            return None
        option_id = decide(self._mode, question.options)
        taken = next((option for option in question.options if option.option_id == option_id), None)
        call = {"toolCallId": str(question.tool_call.get("toolCallId") or ""), "optionId": option_id}
        await self._channel.emit(
            notification_entry("_taskbeacon/decided", {**call, "name": taken.name if taken else None})
        )
        return None if option_id is None else PermissionAnswer(option_id)

    @property
    def people(self) -> Questions | None:
        return self._questions if self._policy.interactive else None

    async def hold(self, session: AgentSession, opening: Sequence[ContentBlock]) -> None:
        """Converse with a started agent to the end; `opening` is the first prompt. Raises AgentError."""
        self._session = session
        self._is_over = False
        await self._config_changes.apply_queued(session)
        self._background.start(partial(self._config_changes.follow, session))
        self._background.start(partial(self._steering.send_messages, session))
        try:
            await self._turn(session, opening)
            while (message := await self._next_message(session)) is not None:
                await self._deliver(session, message)
        finally:
            # Commands that come from now on are left for `CommandSource.end`, which obeys a cancel too.
            self._is_over = True
            await self._background.stop()
        if self._failure is not None:
            raise self._failure

    async def _turn(self, session: AgentSession, blocks: Sequence[ContentBlock]) -> None:
        failure: AgentError | None = None
        self._has_failed = False
        try:
            with self._in(Phase.WORKING):
                stop_reason = await self._spender.prompt(
                    session, blocks, is_cancelled=lambda: bool(self._cancels), on_turn=self._steering.wake
                )
        except AgentFailed as error:
            stop_reason, failure = "error", error
        finally:
            self._questions.cancel_all()
        failure = failure or unfinished(stop_reason)
        if self._has_failed and failure is None:
            failure = AgentFailed(
                f"The agent '{session.name}' could not go on: {session.last_message[:_REASON_CHARACTERS]}"
            )
        self._failure = failure
        with self._in(Phase.DELIVERING):
            await self._questions.until_closed()
            await self._steering.end_turn()
        is_cancelled = await self._settle_cancels()
        if failure is not None and not is_cancelled and self._policy.interactive:
            # The conversation continues, so the end of the run will not report this failure.
            await self._channel.emit(notification_entry("_posthog/error", {"message": failure.message}))
        turn = {"sessionId": session.session_id, "stopReason": stop_reason}
        await self._channel.emit(notification_entry("_posthog/turn_complete", turn))

    @contextmanager
    def _in(self, phase: Phase) -> Iterator[None]:
        self._phase = phase
        try:
            yield
        finally:
            self._phase = Phase.BETWEEN

    async def _settle_cancels(self) -> bool:
        # Before the first await: a cancel that comes later is not for this turn.
        cancels, self._cancels = self._cancels, []
        if cancels:
            self._failure = AgentCancelled()
        reason = None if self._policy.interactive or self._has_message else _ENDED
        for cancel in cancels:
            await self._commands.settle(cancel, CommandStatus.CONSUMED, reason)
        return bool(cancels)

    async def _next_message(self, session: AgentSession) -> Command | None:
        is_timely = True
        while True:
            if self._has_message:
                return self._messages.pop(0)
            if self._waits_for_people and is_timely:
                is_timely = await self._wait_for_message(session)
            elif not await self._correct(session) and await self._end():
                return None

    @property
    def _has_message(self) -> bool:
        return bool(self._messages) and not self._is_closed

    async def _end(self) -> bool:
        # Under the lock, because a command that was fetched is executed when the lock is free.
        async with self._taking:
            if self._has_message:
                return False
            if await self._commands.close():
                return True
        await self._take_commands()
        return False

    async def _correct(self, session: AgentSession) -> bool:
        if self._review is None or not self._is_to_be_reviewed:
            return False
        correction = await self._review()
        if correction is None or not await self._stop_waiting():
            return False
        # A message or a close that came during the review decides what the agent does next.
        if self._messages or not self._is_to_be_reviewed:
            return False
        self._is_reviewed = True
        await self._turn(session, [text_block(correction)])
        return True

    @property
    def _is_to_be_reviewed(self) -> bool:
        return not self._is_reviewed and not self._is_closed and self._failure is None

    async def _stop_waiting(self) -> bool:
        # False if the question got an answer before it could be withdrawn.
        unanswered, self._unanswered = self._unanswered, None
        return unanswered is None or await self._commands.withdraw(unanswered.request_id)

    async def _wait_for_message(self, session: AgentSession) -> bool:
        # Under the lock, or a message that was fetched and not executed yet would be missed.
        async with self._taking:
            failed = None if isinstance(self._failure, AgentCancelled | None) else self._failure.message
            asked = awaited_message(self._channel, session, self._policy.human_timeout, failed)
            is_waiting = self._waits_for_people and not self._messages
            is_waiting = is_waiting and await self._commands.await_message(asked)
        if not is_waiting:
            await self._take_commands()
            return True
        self._wakeup.clear()
        with self._channel.time.pause(self._policy.human_timeout) as seconds:
            is_woken = await wait_unless_failed(self._wakeup, session.raise_at_end, seconds)
        self._unanswered = None if is_woken else asked
        if not is_woken:
            self._commands.resume()
        return is_woken

    async def _deliver(self, session: AgentSession, message: Command) -> None:
        with self._in(Phase.DELIVERING):
            try:
                blocks = await message_blocks(session, message, self._commands)
            except AgentError as error:
                await self._channel.drop(message, error.message)
                is_given = False
            else:
                is_given = await self._give(session, message, blocks)
        if not is_given:  # else `_turn` has settled them, and a later cancel is for the next message
            await self._settle_cancels()

    async def _give(self, session: AgentSession, message: Command, blocks: Sequence[ContentBlock]) -> bool:
        if not self._cancels and await self._commands.settle(message, CommandStatus.DELIVERED):
            await log_message(self._channel, session, message, blocks)
            if not self._cancels:
                await self._turn(session, blocks)
                await self._commands.settle(message, CommandStatus.CONSUMED)
                return True
        await self._channel.drop(message, _CANCELLED)
        return False

    async def _follow_commands(self) -> None:
        while True:
            await self._take_commands()
            await self._commands.news()

    async def _take_commands(self) -> None:
        async with self._taking:
            for command in [] if self._is_over else await self._commands.fetch():
                if not self._is_over:
                    await self._obey(command)
            for message in [each for each in self._messages if not self._commands.is_open(each)]:
                self._messages.remove(message)

    async def _obey(self, command: Command) -> None:
        match command.method:
            case CommandMethod.USER_MESSAGE:
                insort(self._messages, command)
                self._wakeup.set()
                self._steering.wake()
            case CommandMethod.SET_CONFIG_OPTION:
                self._config_changes.put(command)
            case CommandMethod.PERMISSION_RESPONSE:
                if self._questions.take(command):
                    await self._channel.consume(command)
                else:
                    await self._channel.drop(command, "The agent does not wait for this answer any more.")
            case CommandMethod.CANCEL | CommandMethod.CLOSE:
                await self._stop(command)

    async def _stop(self, command: Command) -> None:
        is_begun = self._phase is Phase.BETWEEN and self._has_message
        phase = Phase.DELIVERING if is_begun else self._phase
        match decide_stop(command, phase, interactive=self._policy.interactive):
            case Stop.RUN:
                is_cancel = command.method is CommandMethod.CANCEL
                await self._channel.consume(command, _ENDED if is_cancel else _CLOSED_EARLY)
                self._end_cancelled()
            case Stop.TURN:
                self._cancels.append(command)
                self._questions.cancel_all()
                self._background.start(partial(self._leave_turn, command))
                await self._commands.settle(command, CommandStatus.DELIVERED)
            case Stop.RESULT:
                self._failure = AgentCancelled()
                await self._channel.consume(command, _ENDED)
            case Stop.CONVERSATION | Stop.WAITING as stop:
                self._is_closed = self._is_closed or stop is Stop.CONVERSATION
                self._waits_for_people = False
                self._wakeup.set()
                await self._channel.consume(command)
            case Stop.NOTHING:
                await self._channel.drop(command, "The agent was doing nothing that could be cancelled.")

    async def _leave_turn(self, command: Command) -> None:
        if command in self._cancels and self.is_working and (session := self._session) is not None:
            await session.cancel()
        policy = self._policy
        await asyncio.sleep(policy.interrupt_seconds if policy.interactive else policy.cancel_seconds)
        if command in self._cancels and (self.is_working or not self._policy.interactive):
            self._end_cancelled()

    def _end_cancelled(self) -> None:
        self.is_cancelled = True
        self._channel.time.end()

    def _set_mode(self, mode: str) -> None:
        self._mode = mode
