"""Leads a conversation with one agent: turns in order, steered by what people tell it (contract 6.4, 13.6).

After a turn the next message that waits is given to the agent. When none does, a background run is over, and an
interactive one waits for a person, for a limited time. The run ends as its last turn did.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any, assert_never

from acp.helpers import ContentBlock, resource_link_block, text_block
from acp.schema import ResourceContentBlock
from pydantic import TypeAdapter, ValidationError

from app.agents.base.attachments import Attachment, attached_path, place_attachments
from app.agents.errors import AgentCancelled, AgentError, AgentFailed, AgentStopped
from app.agents.session.budget import Spender
from app.agents.session.commands import Command, Mailbox
from app.agents.session.observer import Observer
from app.agents.session.permissions import decide, is_for_people
from app.agents.session.questions import Questions
from app.agents.session.run_clock import WorkingTime
from app.agents.session.session import AgentSession, Answer, Question
from app.agents.session.transcript import Emit, notification
from app.enums import CommandMethod, CommandStatus
from app.masking import Masker

__all__ = ["Conversation", "Manners", "links_to"]

_UNFINISHED = {
    "max_tokens": "The agent stopped because it ran out of tokens.",
    "max_turn_requests": "The agent stopped because it made too many requests to its model.",
    "refusal": "The agent refused to do this.",
    "cancelled": "The agent was cancelled.",
}
_REASON_CHARACTERS = 10_000
# Returns what to tell an agent whose work does not do; None if it does.
Review = Callable[[], Awaitable[str | None]]
_BLOCKS: TypeAdapter[list[ContentBlock]] = TypeAdapter(list[ContentBlock])


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a conversation goes on after a turn, and who answers what the agent asks."""

    # Whether a person follows the run: they are waited for, and asked.
    interactive: bool = False
    # How long a person is waited for, each time.
    patience: timedelta = timedelta(minutes=15)
    # How long an agent may take to leave a turn that was cancelled.
    cancel_grace: timedelta = timedelta(seconds=10)


class _Phase(Enum):
    """Where a conversation stands: what `cancel` and `close` mean depends on it."""

    PREPARING = auto()
    WORKING = auto()
    # A turn is over, and what comes next is being found out.
    BETWEEN = auto()
    WAITING = auto()


class Conversation:
    """One conversation. `listen` runs beside it, from before the agent is there."""

    def __init__(
        self,
        mailbox: Mailbox,
        emit: Emit,
        time: WorkingTime,
        observer: Observer,
        spender: Spender,
        manners: Manners,
        masker: Masker,
        *,
        mode: str | None,
        review: Review | None = None,
    ) -> None:
        """Prepare to talk; once nothing is left to say, `review` may find fault with what the agent did."""
        self._mailbox = mailbox
        self._emit = emit
        self._time = time
        self._observer = observer
        self._spender = spender
        self._review = review
        self._is_reviewed = False
        self._manners = manners
        self._masker = masker
        self._mode = mode
        self._questions = Questions(
            mailbox, emit, time, masker, patience=manners.patience, catch_up=self._take_commands
        )
        self._taking = asyncio.Lock()
        self._phase = _Phase.PREPARING
        self._session: AgentSession | None = None
        self._messages: deque[Command] = deque()
        self._wishes: asyncio.Queue[Command] = asyncio.Queue()
        self._stirred = asyncio.Event()
        # The cancels of the turn under way.
        self._cancels: list[Command] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._failure: AgentError | None = None
        self.is_cancelled = False
        self.fault: Exception | None = None

    @property
    def is_working(self) -> bool:
        """Whether the agent has something to do."""
        return self._phase is _Phase.WORKING

    async def listen(self) -> None:
        """Obey commands until cancelled. A fault ends the work, so that no run goes on that nobody can stop."""
        try:
            while True:
                await self._take_commands()
                await self._mailbox.news()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for the work
            self.fault = error
            self._time.end()

    async def decide(self, question: Question) -> Answer | None:
        """Answer what the agent asks: by its permission mode, or by a person."""
        if self._manners.interactive and is_for_people(self._mode, question.tool_call.get("kind")):
            with suppress(AgentStopped):
                return await self._questions.ask(question)
            return None
        option_id = decide(self._mode, question.options)
        return None if option_id is None else Answer(option_id)

    async def hold(self, session: AgentSession, work: Path, opening: Sequence[ContentBlock]) -> None:
        """Talk from the first prompt to the end. Raises what the last turn failed with, or AgentCrashed."""
        self._session = session
        while not self._wishes.empty():
            await self._configure(session, self._wishes.get_nowait())
        granting = asyncio.create_task(self._grant_wishes(session))
        try:
            await self._turn(session, opening)
            while (message := await self._next_message(session)) is not None:
                await self._deliver(session, work, message)
        finally:
            for errand in (granting, *self._errands):
                errand.cancel()
            await asyncio.gather(granting, *self._errands, return_exceptions=True)
        if self._failure is not None:
            raise self._failure

    async def _turn(self, session: AgentSession, blocks: Sequence[ContentBlock]) -> None:
        """Have the agent do something; if it does not, or not to its end, that is the failure from then on."""
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
        # Before anything is waited for: what is told from here on comes after the turn.
        self._failure = AgentCancelled() if cancels else failure
        for cancel in cancels:
            await self._mailbox.settle(cancel, CommandStatus.CONSUMED)
        if failure is not None and not cancels and self._manners.interactive:
            # The conversation goes on, so the run does not end with this and say it.
            await self._emit(notification("_posthog/error", {"message": failure.message}))
        turn = {"sessionId": session.session_id, "stopReason": stop_reason}
        await self._emit(notification("_posthog/turn_complete", turn))

    async def _next_message(self, session: AgentSession) -> Command | None:
        """Return what the agent is to be told next; None when the conversation is over."""
        is_awaited = self._manners.interactive
        while True:
            if self._messages and not self._is_closed:
                return self._messages.popleft()
            if not is_awaited or self._is_closed:
                if await self._correct(session):
                    continue
                if await self._mailbox.close():
                    return None
                await self._take_commands()
            else:
                is_awaited = await self._wait_for_message(session)

    async def _correct(self, session: AgentSession) -> bool:
        """Give the agent one more turn if what it did does not do; whether that helped is seen later."""
        if self._review is None or self._is_reviewed or self._is_closed or self._failure is not None:
            return False
        self._is_reviewed = True
        fault = await self._review()
        if fault is None:
            return False
        await self._turn(session, [text_block(fault)])
        return True

    async def _wait_for_message(self, session: AgentSession) -> bool:
        """Wait until something happened; False when nobody has come for too long. Raises AgentCrashed."""
        self._phase = _Phase.WAITING
        try:
            if not await self._mailbox.await_message():
                self._phase = _Phase.BETWEEN
                await self._take_commands()
                return True
            with self._time.waiting(self._manners.patience) as seconds:
                return await self._is_stirred(session, seconds)
        finally:
            self._phase = _Phase.BETWEEN

    async def _is_stirred(self, session: AgentSession, seconds: float) -> bool:
        if self._messages or self._is_closed:
            return True
        self._stirred.clear()
        stirred, ended = asyncio.create_task(self._stirred.wait()), asyncio.create_task(session.ended())
        try:
            done, _ = await asyncio.wait(
                {stirred, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if ended in done:
                await ended
            return stirred in done
        finally:
            stirred.cancel()
            ended.cancel()
            await asyncio.gather(stirred, ended, return_exceptions=True)

    async def _deliver(self, session: AgentSession, work: Path, message: Command) -> None:
        """Give a message to the agent, and wait for the end of its turn."""
        try:
            blocks = await self._blocks(session, work, message)
        except AgentError as error:
            await self._drop(message, error.message)
            return
        if not await self._mailbox.settle(message, CommandStatus.DELIVERED):
            return
        for block in blocks:
            update = {
                "sessionUpdate": "user_message_chunk",
                "messageId": str(message.id),
                "content": block.model_dump(mode="json", by_alias=True, exclude_none=True),
            }
            await self._emit(
                notification("session/update", {"sessionId": session.session_id, "update": update})
            )
        await self._turn(session, blocks)
        await self._mailbox.settle(message, CommandStatus.CONSUMED)

    async def _blocks(self, session: AgentSession, work: Path, message: Command) -> list[ContentBlock]:
        """Return a message as the agent gets it, its files lying in the workspace. Raises AgentError."""
        content = message.params.get("content") or []
        try:
            blocks = [text_block(content)] if isinstance(content, str) else _BLOCKS.validate_python(content)
        except ValidationError:
            raise AgentFailed(
                "The message has blocks that the Agent Client Protocol does not know."
            ) from None
        for block in blocks:
            if not session.takes(block):
                raise AgentFailed(f"The agent does not take blocks of the type '{block.type}'.")
        attachments = await self._mailbox.files(message.params["artifact_ids"])
        await asyncio.to_thread(place_attachments, work, attachments)
        return [*blocks, *links_to(work, attachments)]

    async def _take_commands(self) -> None:
        async with self._taking:
            for command in await self._mailbox.fetch():
                await self._obey(command)

    async def _obey(self, command: Command) -> None:
        """Do what can be done at once; never waits for the agent."""
        match command.method:
            case CommandMethod.USER_MESSAGE:
                self._messages.append(command)
                self._stirred.set()
            case CommandMethod.SET_CONFIG_OPTION:
                self._wishes.put_nowait(command)
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
                self._questions.give_up()
                self._errand(self._leave_turn(command))
                await self._mailbox.settle(command, CommandStatus.DELIVERED)
            case _Phase.PREPARING:
                await self._settle_at_once(command)
                self._end_cancelled()
            case _Phase.BETWEEN if not self._manners.interactive:
                # It was told while the turn lasted, and wins over its end.
                self._failure = AgentCancelled()
                await self._settle_at_once(command)
            case _Phase.BETWEEN | _Phase.WAITING:
                await self._drop(command, "The agent was doing nothing that could be cancelled.")
            case _:
                assert_never(self._phase)

    async def _leave_turn(self, command: Command) -> None:
        """Ask the agent to leave its turn; one that does not is ended, and the run with it."""
        if command in self._cancels and (session := self._session) is not None:
            await session.cancel()
        await asyncio.sleep(self._manners.cancel_grace.total_seconds())
        if command in self._cancels:
            self._end_cancelled()

    def _errand(self, errand: Coroutine[Any, Any, None]) -> None:
        """Do something apart: it waits for the agent."""
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _close(self, command: Command) -> None:
        await self._settle_at_once(command)
        if self._phase is _Phase.WAITING:
            self._is_closed = True
            self._stirred.set()
        else:
            self._end_cancelled()

    def _end_cancelled(self) -> None:
        self.is_cancelled = True
        self._time.end()

    async def _grant_wishes(self, session: AgentSession) -> None:
        while True:
            await self._configure(session, await self._wishes.get())

    async def _configure(self, session: AgentSession, command: Command) -> None:
        option_id, value = command.params["config_id"], command.params["value"]
        await self._mailbox.settle(command, CommandStatus.DELIVERED)
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
        await self._mailbox.settle(command, CommandStatus.CONSUMED)

    async def _settle_at_once(self, command: Command) -> None:
        await self._mailbox.settle(command, CommandStatus.DELIVERED)
        await self._mailbox.settle(command, CommandStatus.CONSUMED)

    async def _drop(self, command: Command, reason: str) -> None:
        await self._mailbox.settle(command, CommandStatus.DROPPED, self._masker.text(reason))


def links_to(work: Path, attachments: Sequence[Attachment]) -> list[ResourceContentBlock]:
    """Return how an agent is told of files that lie in its workspace."""
    return [
        resource_link_block(
            attachment.name,
            attached_path(work, attachment).as_uri(),
            mime_type=attachment.content_type or None,
            size=attachment.size,
        )
        for attachment in attachments
    ]
