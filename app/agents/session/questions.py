"""Passes the agent's questions to the people who follow a run: one at a time, with a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any  # JSON

from app.agents.session.asked import AskedQuestion, describe
from app.agents.session.client import Answer, Question
from app.agents.session.commands import Channel, Command
from app.agents.session.permissions import refuse
from app.agents.session.transcript import notification
from app.clock import utcnow
from app.enums import QuestionKind
from app.unicode import storable

# Limits of a question; its log has all of it.
_TEXT_CHARACTERS = 500
_MAX_OPTIONS = 50
_OPTION_ID_CHARACTERS = 255
# Further questions are refused while as many wait for their turn.
_MAX_WAITING = 20


class _Asked:
    """A question that a person may answer."""

    def __init__(self, request_id: str) -> None:
        self.id = request_id
        self.is_over = asyncio.Event()
        self.answer: Command | None = None


class Questions:
    """The questions of one agent."""

    def __init__(
        self, channel: Channel, *, human_timeout: timedelta, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        """Prepare to ask; `catch_up` takes the commands that have arrived."""
        self._channel = channel
        self._human_timeout = human_timeout
        self._catch_up = catch_up
        self._turn = 0
        self._waiting = 0
        self._one_at_a_time = asyncio.Lock()
        self._asked: _Asked | None = None

    async def ask(self, question: Question) -> Answer | None:
        """Return a person's answer; a refusal if none comes in time, None if the turn was cancelled."""
        if self._waiting >= _MAX_WAITING:
            return _refusal(question)
        turn = self._turn
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                return await self._ask(question) if turn == self._turn else None
        finally:
            self._waiting -= 1

    def give_up(self) -> None:
        """Cancel all open questions: their turn is over."""
        self._turn += 1
        if self._asked is not None:
            self._asked.is_over.set()

    def take(self, command: Command) -> bool:
        """Take an answer; False if it is not for the current question."""
        asked = self._asked
        if asked is None or asked.id != command.params["request_id"] or asked.answer is not None:
            return False
        asked.answer = command
        asked.is_over.set()
        return True

    async def _ask(self, question: Question) -> Answer | None:
        turn = self._turn
        tool_call = self._channel.masker.value(storable(question.tool_call))
        options = _offered(question)
        if not options:
            return _refusal(question)
        now = utcnow()
        shown = AskedQuestion(
            kind=QuestionKind.PERMISSION,
            title=str(tool_call.get("title") or ""),
            detail=describe(tool_call),
            tool_call=tool_call,
            options=options,
            opened_at=now,
            expires_at=now + self._human_timeout,
        )
        asked = _Asked(shown.request_id)
        # Before it is published: the answer may be fetched before the next line runs.
        self._asked = asked
        try:
            await self._channel.commands.await_answer(shown)
            about = {"requestId": asked.id, "toolCallId": tool_call.get("toolCallId")}
            await self._channel.emit(
                notification(
                    "_posthog/permission_request", {**about, "toolCall": tool_call, "options": options}
                )
            )
            await self._wait_for(asked)
        finally:
            self._asked = None
        answer = _answer(asked.answer) if asked.answer else _refusal(question)
        if turn != self._turn:
            answer = None
        await self._channel.emit(
            notification(
                "_posthog/permission_resolved",
                about if answer is None else {**about, "optionId": answer.option_id},
            )
        )
        return answer

    async def _wait_for(self, asked: _Asked) -> None:
        with self._channel.time.waiting(self._human_timeout) as seconds, suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asked.is_over.wait()
        if asked.answer is None and not await self._channel.commands.withdraw(asked.id):
            # The first answer counts, also one that came at this very moment.
            await self._catch_up()


def _answer(command: Command) -> Answer:
    meta = {
        wire: command.params[key]
        for key, wire in (("custom_input", "customInput"), ("answers", "answers"))
        if key in command.params
    }
    return Answer(command.params["option_id"], meta or None)


def _refusal(question: Question) -> Answer | None:
    option_id = refuse(question.options)
    return None if option_id is None else Answer(option_id)


def _offered(question: Question) -> list[dict[str, Any]]:
    """Return the options to show to people, without those of absurd size."""
    return [
        {"optionId": option.option_id, "name": storable(option.name)[:_TEXT_CHARACTERS], "kind": option.kind}
        for option in question.options[:_MAX_OPTIONS]
        if len(option.option_id) <= _OPTION_ID_CHARACTERS and storable(option.option_id) == option.option_id
    ]
