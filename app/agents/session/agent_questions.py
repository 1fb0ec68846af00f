"""Asks the people who follow a run the questions of its agent, one at a time; describes tool calls for them."""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import Match, SequenceMatcher
from itertools import takewhile
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from app.agents.errors import AgentStopped
from app.agents.session.command_source import Command, RunChannel
from app.agents.session.permissions import PermissionAnswer, PermissionRequest, refuse
from app.agents.session.transport import Message
from app.coroutines.periodic import wait
from app.dialogue.agent_reports import notification_entry, progress_entry
from app.dialogue.form_schemas import FormRefused, read_form
from app.dialogue.forms import REJECT, Form
from app.dialogue.shown_questions import ShownQuestion
from app.dialogue.storable_text import storable
from app.enums import QuestionKind
from app.ids import new_id
from app.json_types import JsonDict

# The limits of a question as it is shown. The run's log has all of it.
_TEXT_CHARACTERS = 500
_MAX_OPTIONS = 50
_OPTION_ID_CHARACTERS = 255
_URL_CHARACTERS = 2000
# The most pending questions. Further ones are refused.
_MAX_WAITING = 20
_OPEN = "open"

# Spaces, and characters that look like spaces.
_BLANK = re.compile(r"[\s\u00ad\u115f\u1160\u200b-\u200f\u2060-\u2064\u2800\u3164\ufeff\uffa0]{60,}")
# Comparing this many lines takes at most 0.1 s. In longer texts, all between the first and the last difference
# counts as changed.
_COMPARED_LINES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Elicitation:
    """A request that people fill a form (`schema`, a JSON schema) or open a page (`url`, with the agent's `id`)."""

    message: str
    tool_call_id: str | None = None
    schema: Message | None = None
    url: str | None = None
    id: str | None = None
    request: str = ""  # the id by which the agent withdraws it


@dataclass(frozen=True, slots=True)
class ElicitationAnswer:
    """A person's answer to a form or page: `content` has the values; `accept` of a page says that it was opened."""

    action: Literal["accept", "decline", "cancel"]
    content: Message | None = None


class _PendingQuestion:
    def __init__(self, shown: ShownQuestion, request: str, elicitation_id: str | None) -> None:
        self.shown = shown
        self.request = request
        self.elicitation_id = elicitation_id
        self.is_over = asyncio.Event()
        self.answer: Command | None = None
        self.is_cancelled = False
        self.is_complete = False

    def cancel(self) -> None:
        self.is_cancelled = True
        self.is_over.set()


class Questions:
    """Asks people the questions of one agent, one at a time; each ends by answer, withdrawal, time limit or turn."""

    def __init__(
        self,
        channel: RunChannel,
        *,
        human_timeout: timedelta,
        catch_up: Callable[[], Awaitable[None]],
        on_close: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._human_timeout = human_timeout
        self._catch_up = catch_up
        self._on_close = on_close
        # The queued questions and the current one.
        self._pending: list[_PendingQuestion] = []
        self._one_at_a_time = asyncio.Lock()
        self._current: _PendingQuestion | None = None

    @property
    def is_open(self) -> bool:
        """Whether a question is shown to people now and waits for their answer."""
        return self._current is not None

    async def ask(self, question: PermissionRequest) -> PermissionAnswer | None:
        """Ask for a permission; return the option that refuses if time is over, None to cancel. Raises AgentStopped."""
        tool_call = self._channel.masker.value(storable(question.tool_call))
        options = self._select_options(question)
        option_id = refuse(question.options)
        refusal = None if option_id is None else PermissionAnswer(option_id)
        if not options:
            return refusal
        shown = self._make_question(
            QuestionKind.PERMISSION,
            title=str(tool_call.get("title") or ""),
            detail=describe(tool_call),
            tool_call=tool_call,
            options=options,
        )
        pending = await self._put(shown, request=question.request, refusal=option_id)
        if pending is None or pending.is_cancelled:
            return None if pending else refusal
        return _answer(pending.answer) if pending.answer else refusal

    async def elicit(self, elicitation: Elicitation) -> ElicitationAnswer:
        """Ask people to fill a form or open a page; `decline` if no answer comes in time, else `cancel`."""
        try:
            form = None if elicitation.schema is None else read_form(elicitation.message, elicitation.schema)
            shown, read = self._page(elicitation) if form is None else self._form(elicitation, form)
        except FormRefused as refused:
            declined = progress_entry("agent", f"A form of the agent is declined: {refused}.")
            await self._channel.emit(declined)
            return ElicitationAnswer("decline")
        try:
            pending = await self._put(
                shown, request=elicitation.request, refusal=REJECT, elicitation_id=elicitation.id
            )
        except AgentStopped:
            return ElicitationAnswer("cancel")
        if pending is not None and pending.is_cancelled:
            return ElicitationAnswer("cancel")
        if pending is not None and pending.answer is not None:
            return read(pending.answer.params)
        return ElicitationAnswer("accept" if pending is not None and pending.is_complete else "decline")

    async def complete(self, elicitation_id: str) -> None:
        """Close the question about this page if it is shown now, since the agent reported the page as done."""
        pending = self._current
        if pending is not None and pending.elicitation_id == elicitation_id and pending.answer is None:
            pending.is_complete = True
            pending.is_over.set()
        about = {"elicitationId": elicitation_id[:_TEXT_CHARACTERS]}
        await self._channel.emit(notification_entry("_taskbeacon/elicitation_complete", about))

    def withdraw(self, request: str) -> None:
        """Close the question of this request: the agent does not wait for its answer any more."""
        for pending in self._pending:
            if pending.request == request and pending.answer is None:
                pending.cancel()

    def cancel_all(self) -> None:
        """Cancel all questions, both the one that is shown and those that wait, because the agent's turn is over."""
        for pending in self._pending:
            pending.cancel()

    def take(self, command: Command) -> bool:
        """Take a command as the answer to the question that is shown; False if it answers another, or has an answer."""
        pending = self._current
        is_for_this = pending is not None and pending.shown.request_id == command.params["request_id"]
        if pending is None or not is_for_this or pending.answer is not None:
            return False
        pending.answer = command
        pending.is_over.set()
        return True

    def _form(
        self, elicitation: Elicitation, original: Form
    ) -> tuple[ShownQuestion, Callable[[JsonDict], ElicitationAnswer]]:
        message = self._channel.masker.text(storable(elicitation.message))
        schema = self._channel.masker.value(storable(elicitation.schema))
        form = read_form(message, schema)
        if form.shape != original.shape:
            raise FormRefused("without its secrets, its questions or choices are not the same")
        questions = [question.describe() for question in form.questions]
        about = {"codeToolKind": "question", "questions": questions, "requestedSchema": schema}
        title = questions[0]["question"] if questions else message

        def read(params: JsonDict) -> ElicitationAnswer:
            action, content = form.answer(params)
            if action == "accept":
                return ElicitationAnswer("accept", form.as_asked(content, original))
            return ElicitationAnswer("cancel" if action == "cancel" else "decline")

        shown = self._make_question(
            QuestionKind.FORM,
            title=title,
            detail=message,
            tool_call=_call_of(elicitation, title, about),
            options=form.options(),
            schema=schema,
        )
        return shown, read

    def _page(
        self, elicitation: Elicitation
    ) -> tuple[ShownQuestion, Callable[[JsonDict], ElicitationAnswer]]:
        message = self._channel.masker.text(storable(elicitation.message))
        url = self._channel.masker.text(storable(str(elicitation.url)))
        host = _host(url)
        options = [
            {"optionId": _OPEN, "name": f"Open {host}", "kind": "allow_once"},
            {"optionId": REJECT, "name": "Do not open", "kind": "reject_once"},
        ]

        def read(params: JsonDict) -> ElicitationAnswer:
            if (action := params.get("action", "accept")) == "cancel":
                return ElicitationAnswer("cancel")
            is_accepted = action == "accept" and params.get("option_id") != REJECT
            return ElicitationAnswer("accept" if is_accepted else "decline")

        shown = self._make_question(
            QuestionKind.URL,
            title=message,
            detail=f"{host}\n\n{message}",
            tool_call=_call_of(elicitation, message, {"url": url, "host": host}),
            options=options,
            url=url,
        )
        return shown, read

    def _select_options(self, question: PermissionRequest) -> list[JsonDict]:
        return [
            {
                "optionId": option.option_id,
                "name": self._channel.masker.text(storable(option.name))[:_TEXT_CHARACTERS],
                "kind": option.kind,
            }
            for option in question.options[:_MAX_OPTIONS]
            if len(option.option_id) <= _OPTION_ID_CHARACTERS
            and storable(option.option_id) == option.option_id
        ]

    def _make_question(self, kind: QuestionKind, *, tool_call: JsonDict, **fields: Any) -> ShownQuestion:
        id_ = new_id()
        # Clients distinguish questions by the id of the tool call, so a question without one gets its own.
        return ShownQuestion(kind=kind, id=id_, tool_call={"toolCallId": id_.hex, **tool_call}, **fields)

    async def _put(
        self, shown: ShownQuestion, *, request: str, refusal: str | None, elicitation_id: str | None = None
    ) -> _PendingQuestion | None:
        if len(self._pending) >= _MAX_WAITING:
            return None
        pending = _PendingQuestion(shown, request, elicitation_id)
        self._pending.append(pending)
        try:
            async with self._one_at_a_time:
                if not pending.is_cancelled:
                    await self._publish(pending, refusal)
        finally:
            self._pending.remove(pending)
        return pending

    async def _publish(self, pending: _PendingQuestion, refusal: str | None) -> None:
        # Its time begins now: the question has waited until earlier ones were closed.
        shown = pending.shown = pending.shown.open_for(self._human_timeout)
        # Set first, because `take` may get the answer as soon as the question is published.
        self._current = pending
        try:
            await self._channel.commands.await_answer(shown)
            about = {"requestId": shown.request_id, "toolCallId": shown.tool_call.get("toolCallId")}
            request = {**about, "toolCall": shown.tool_call, "options": list(shown.options)}
            await self._channel.emit(notification_entry("_posthog/permission_request", request))
            await self._wait_for(pending)
        finally:
            self._current = None
            self._on_close()
        chosen = refusal if pending.answer is None else _option_of(shown.kind, pending.answer)
        if pending.answer is None and pending.is_complete:
            chosen = _OPEN
        is_settled = not pending.is_cancelled and chosen is not None
        resolved = {**about, "optionId": chosen} if is_settled else about
        await self._channel.emit(notification_entry("_posthog/permission_resolved", resolved))

    async def until_closed(self) -> None:
        """Wait until all pending questions, which were cancelled, are withdrawn."""
        async with self._one_at_a_time:
            pass

    async def _wait_for(self, pending: _PendingQuestion) -> None:
        with self._channel.time.pause(self._human_timeout) as seconds:
            await wait(pending.is_over, seconds)
        if pending.answer is None and not await self._channel.commands.withdraw(pending.shown.request_id):
            # An answer was stored before the question could be withdrawn, so it counts.
            await self._catch_up()


def _answer(command: Command) -> PermissionAnswer:
    meta = {
        wire: command.params[key]
        for key, wire in (("custom_input", "customInput"), ("answers", "answers"))
        if key in command.params
    }
    return PermissionAnswer(command.params["option_id"], meta or None)


def _option_of(kind: QuestionKind, command: Command) -> str | None:
    if (option_id := command.params.get("option_id")) is not None:
        return str(option_id)
    accepted = _OPEN if kind is QuestionKind.URL else None
    return {"accept": accepted, "decline": REJECT}.get(str(command.params.get("action")))


def _call_of(elicitation: Elicitation, title: str, about: JsonDict) -> JsonDict:
    call: JsonDict = {"title": title, "kind": "other", "_meta": about}
    if elicitation.tool_call_id is not None:
        call["toolCallId"] = elicitation.tool_call_id
    return call


def _host(url: str) -> str:
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    except ValueError:
        scheme, host = "", None
    if not host or scheme not in {"http", "https"} or len(url) > _URL_CHARACTERS:
        raise FormRefused("its address is no page of the web")
    return host


def describe(tool_call: JsonDict) -> str:
    """Return a tool call as text: command, other input, other content; long blanks, which could hide it, are marked."""
    shown = [text for part in tool_call.get("content") or () for text in _texts_of(part)]
    raw_input = tool_call.get("rawInput")
    lines = _lines_of(raw_input, shown_texts=frozenset(text for text, _ in shown)) if raw_input else []
    lines += [view for text, view in shown if view and (view != text or text not in lines)]
    return _BLANK.sub(_describe_blank, "\n".join(lines))


def _lines_of(raw_input: object, *, shown_texts: frozenset[str]) -> list[str]:
    if not isinstance(raw_input, dict):
        return [_words(raw_input)]
    lines = []
    rest = dict(raw_input)
    if command := rest.pop("command", None):
        arguments = rest.pop("args", None)
        lines.append(" ".join(_command(each) for each in (command, arguments) if each))
    for name, value in rest.items():
        if value is not None and not (isinstance(value, str) and value in shown_texts):
            # Indented, so that no line of a value looks like another field.
            lines.append(f"{name}: {_words(value)}".replace("\n", "\n  "))
    return lines


def _command(value: object) -> str:
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return shlex.join(value)
    return _words(value)


def _words(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _texts_of(part: object) -> Iterator[tuple[str, str]]:
    if not isinstance(part, dict):
        return
    if part.get("type") == "diff":
        path = str(part.get("path"))
        old, new = (text if isinstance(text := part.get(key), str) else "" for key in ("oldText", "newText"))
        yield from ((path, path), (old, ""), (new, "\n".join(_compare(old.splitlines(), new.splitlines()))))
        return
    content = part.get("content")
    if isinstance(content, dict) and isinstance(text := content.get("text"), str):
        yield text, text


def _compare(old: list[str], new: list[str]) -> Iterator[str]:
    # Lines without a change are shown too: they are what the agent claims that the file contains.
    start = _count_same(old, new)
    end = _count_same(reversed(old[start:]), reversed(new[start:]))
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    if len(removed) + len(added) <= _COMPARED_LINES:
        blocks = SequenceMatcher(None, removed, added, autojunk=False).get_matching_blocks()
    else:
        blocks = [Match(len(removed), len(added), 0)]
    yield from (f"  {line}" for line in new[:start])
    left = right = 0
    for at, place, size in blocks:
        yield from (f"- {line}" for line in removed[left:at])
        yield from (f"+ {line}" for line in added[right:place])
        left, right = at + size, place + size
        yield from (f"  {line}" for line in added[place:right])
    yield from (f"  {line}" for line in new[len(new) - end :])


def _count_same(lines: Iterable[str], others: Iterable[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(lines, others, strict=False)))


def _describe_blank(blank: re.Match[str]) -> str:
    is_spaces = not blank[0].strip(" ")
    return f"⟨{len(blank[0])} {'spaces' if is_spaces else 'blank characters'}⟩"
