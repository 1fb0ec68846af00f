"""Conversations with agents that play a part, steered by commands from this process."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from acp.helpers import text_block
from acp.schema import PermissionOption
from typing_extensions import override

from app.agents.errors import AgentCancelled, AgentCrashed
from app.agents.files.attachments import Attachment
from app.agents.masking import Masker
from app.agents.session.budget import Budget, Spender
from app.agents.session.command_source import Command, CommandSource, RunChannel, TurnPolicy
from app.agents.session.conversation import Conversation, Review
from app.agents.session.permissions import PermissionAnswer, PermissionRequest, is_for_people, refuse
from app.agents.session.run_clock import WorkingTime
from app.agents.session.usage_meter import UsageMeter
from app.dialogue.agent_reports import Spent
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandMethod, CommandStatus
from app.ids import new_id
from tests.agents.conftest import eventually
from tests.agents.session.test_agent_session import Stage

JSON = dict[str, Any]
OPTIONS = [
    PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
    PermissionOption(option_id="no\0", name="N\0o", kind="reject_once"),
]
SECRET = "correct-horse-battery"


class Letters(CommandSource):
    """Commands that a test puts in, and what became of them."""

    def __init__(self) -> None:
        self.waiting_for: list[JSON] = []
        self.asked: list[ShownQuestion] = []
        self.settled: list[tuple[CommandMethod, CommandStatus, str | None]] = []
        self.fetched = self.looks = self.resumed = 0
        self._new: list[Command] = []
        self._sent = 0
        self._changed = asyncio.Event()
        self.wait_ended = asyncio.Event()
        self._is_broken = False
        # Commands that cannot be settled.
        self.unsettled: frozenset[CommandMethod] = frozenset()

    def put(self, method: CommandMethod, *, is_repeated: bool = False, **params: Any) -> None:
        self._sent += 1
        self._new.append(Command(new_id(), method, params, is_repeated, position=self._sent))
        self._changed.set()

    @override
    async def news(self) -> None:
        self.looks += 1
        await self._changed.wait()
        self._changed.clear()

    def break_down(self) -> None:
        """Fail from now on."""
        self._is_broken = True
        self._changed.set()

    @override
    async def fetch(self) -> list[Command]:
        if self._is_broken:
            raise ConnectionError("the commands cannot be read")
        new, self._new = self._new, []
        self.fetched += len(new)
        return new

    @override
    def is_open(self, command: Command) -> bool:
        return True

    @override
    async def settle(
        self, command: Command, status: CommandStatus, reason: str | None = None, *, is_logged: bool = True
    ) -> bool:
        if command.method in self.unsettled:
            raise ConnectionError("the command cannot be settled")
        if is_logged:
            self.settled.append((command.method, status, reason))
        return True

    @override
    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        return []

    @override
    async def await_message(self, asked: ShownQuestion) -> bool:
        if not self._new:
            self.asked.append(asked)
            self.waiting_for.append({"kind": "message"})
        return not self._new

    @override
    def resume(self) -> None:
        self.resumed += 1

    @override
    async def await_answer(self, asked: ShownQuestion) -> None:
        self.asked.append(asked)
        self.waiting_for.append(asked.waiting_for)

    @override
    async def withdraw(self, request_id: str) -> bool:
        return not self._new

    @override
    async def close(self) -> bool:
        return not self._new

    @override
    async def end(self) -> bool:
        return False


class Time(WorkingTime):
    """The limit of a run's work, which says when a wait for a person has ended."""

    def __init__(self, wait_ended: asyncio.Event) -> None:
        super().__init__(timedelta(minutes=1))
        self._wait_ended = wait_ended

    @contextmanager
    @override
    def pause(self, at_most: timedelta) -> Iterator[float]:
        with super().pause(at_most) as seconds:
            yield seconds
        self._wait_ended.set()


class Room:
    """A conversation with an actor, and what it comes to."""

    def __init__(
        self,
        stage: Stage,
        policy: TurnPolicy,
        mode: str | None = None,
        *,
        letters: Letters | None = None,
        review: Review | None = None,
        spent: int = 0,  # percent of the budget
    ) -> None:
        self.letters = letters or Letters()
        self.entries: list[JSON] = []
        self.time = Time(self.letters.wait_ended)
        meter = UsageMeter(others=Spent(tokens=spent))
        self.talk = Conversation(
            RunChannel(self.letters, self._emit, self.time, Masker([SECRET])),
            policy,
            Spender(Budget(tokens=100), meter, self._report, policy),
            mode=mode,
            review=review,
        )
        self._stage = stage
        self._updates: list[JSON] = []

    async def _report(self, message: str) -> None:
        raise AssertionError(message)

    async def _emit(self, entry: JSON) -> None:
        self.entries.append(entry["notification"])

    async def hold(self, part: str) -> None:
        """Lead the conversation to its end."""
        async with self._stage.play(part) as talk:
            self._updates = talk.updates
            listening: asyncio.Task[None] | None = None
            try:
                async with self.time:
                    listening = asyncio.create_task(self.talk.listen())
                    await self.until_prepared()
                    await self.talk.hold(talk.session, [text_block("go")])
            finally:
                if listening is not None:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)

    async def until_prepared(self) -> None:
        """Return when the conversation may begin: at once."""

    @property
    def turns(self) -> int:
        """The number of turns that are over."""
        return len([entry for entry in self.entries if entry["method"] == "_posthog/turn_complete"])

    def said(self) -> list[str]:
        """Return the messages of the agent."""
        return [each["content"]["text"] for each in self._updates if each["sessionUpdate"] == "agent_message"]

    def reached_idle_agent(self, method: str) -> bool:
        """Return whether a request of this method has reached the agent while it had no turn."""
        return any(update.get("idle") == method for update in self._updates)

    async def until_waiting(self) -> None:
        await eventually(lambda: bool(self.letters.waiting_for))


@asynccontextmanager
async def held(room: Room, part: str) -> AsyncGenerator[asyncio.Task[None], None]:
    task = asyncio.create_task(room.hold(part))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("interactive", [False, True])
async def test_agent_that_does_not_leave_a_cancelled_turn_is_ended(
    stage: Stage, *, interactive: bool
) -> None:
    """Of a run that ends with its turn everything is gone within two seconds: its agent has less time."""
    times = (3600, 0.05) if interactive else (0.05, 3600)
    policy = TurnPolicy(interactive=interactive, cancel_seconds=times[0], interrupt_seconds=times[1])
    room = Room(stage, policy)
    async with held(room, "deaf") as task:
        await eventually(lambda: room.talk.is_working)
        room.letters.put(CommandMethod.CANCEL)
        with pytest.raises(TimeoutError):
            await task
    assert room.talk.is_cancelled
    assert room.time.is_over


async def test_cancel_that_comes_with_the_end_of_a_turn_wins(stage: Stage) -> None:
    room = Room(stage, TurnPolicy())
    async with held(room, "wait_for_cancel") as task:
        await eventually(lambda: room.talk.is_working)
        room.letters.put(CommandMethod.CANCEL)
        with pytest.raises(AgentCancelled):
            await task
    assert [status for _, status, _ in room.letters.settled] == ["delivered", "consumed"]


async def test_second_close_of_a_double_click_does_not_cancel(stage: Stage) -> None:
    """It came when nothing waited any more, and a run that was completed ended as cancelled."""

    class Twice(Letters):
        @override
        async def close(self) -> bool:
            if len(self.settled) == 2:
                self.put(CommandMethod.CLOSE)
            return await super().close()

    room = Room(stage, TurnPolicy(interactive=True), letters=Twice())
    async with held(room, "echo") as task:
        await room.until_waiting()
        room.letters.put(CommandMethod.CLOSE)
        await task
    assert not room.talk.is_cancelled
    assert [status for _, status, _ in room.letters.settled] == ["delivered", "consumed"] * 2


async def test_agent_that_ends_while_it_waits_for_a_person_has_crashed(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    async with held(room, "leave") as task:
        with pytest.raises(AgentCrashed, match="ended unexpectedly"):
            await task
    assert room.letters.waiting_for == [{"kind": "message"}]


async def test_options_are_set_between_turns_and_unknown_ones_dropped(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    async with held(room, "options") as task:
        await room.until_waiting()
        for option, value in (("mode", "plan"), ("m", "large"), ("model", True), ("nothing", SECRET)):
            room.letters.put(CommandMethod.SET_CONFIG_OPTION, config_id=option, value=value)
        await eventually(lambda: len(room.letters.settled) == 8)
        room.letters.put(CommandMethod.CLOSE)
        await task
    ends = [(status, reason) for _, status, reason in room.letters.settled[:8] if status != "delivered"]
    assert ends == [
        (CommandStatus.CONSUMED, None),
        (CommandStatus.CONSUMED, None),
        (CommandStatus.DROPPED, "The agent does not offer 'model' with the value 'True'."),
        (CommandStatus.DROPPED, "The agent does not offer 'nothing' with the value '***'."),
    ]


async def test_answer_to_nothing_is_dropped(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    async with held(room, "echo") as task:
        await room.until_waiting()
        room.letters.put(CommandMethod.PERMISSION_RESPONSE, request_id="old", option_id="yes")
        room.letters.put(CommandMethod.CLOSE)
        await task
    assert room.letters.settled[0] == (
        CommandMethod.PERMISSION_RESPONSE,
        CommandStatus.DROPPED,
        "The agent does not wait for this answer any more.",
    )


async def test_run_that_cannot_be_steered_any_more_does_not_go_on(stage: Stage) -> None:
    room = Room(stage, TurnPolicy())
    async with held(room, "deaf") as task:
        await eventually(lambda: room.talk.is_working)
        room.letters.break_down()
        with pytest.raises(TimeoutError):
            await task
    assert isinstance(room.talk.fault, ConnectionError)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        (CommandMethod.SET_CONFIG_OPTION, {"config_id": "mode", "value": "plan"}),
        (CommandMethod.USER_MESSAGE, {"content": "one", "artifact_ids": []}),
    ],
)
async def test_fault_of_a_step_beside_the_turn_ends_the_run(
    stage: Stage, method: CommandMethod, params: JSON
) -> None:
    room = Room(stage, TurnPolicy())
    room.letters.unsettled = frozenset({method})
    async with held(room, "take_messages") as task:
        await eventually(lambda: room.talk.is_working)
        room.letters.put(method, **params)
        with pytest.raises(TimeoutError):
            await task
    assert isinstance(room.talk.fault, ConnectionError)


async def answered(room: Room, option_id: str, question: PermissionRequest) -> PermissionAnswer | None:
    """Return the agent's report of the answer that it got after a person chose an option."""
    async with room.time:
        listening = asyncio.create_task(room.talk.listen())
        asking = asyncio.create_task(room.talk.decide(question))
        await room.until_waiting()
        request_id = room.letters.waiting_for[0]["request_id"]
        room.letters.put(
            CommandMethod.PERMISSION_RESPONSE,
            request_id=request_id,
            option_id=option_id,
            custom_input="only now",
        )
        answer = await asking
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return answer


async def test_question_is_bounded_and_free_of_secrets(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    call = {"toolCallId": "t", "title": f"Use {SECRET}\0", "rawInput": "x" * 20_000}
    answer = await answered(room, "yes", PermissionRequest(call, [*OPTIONS, *OPTIONS * 50]))

    assert answer == PermissionAnswer("yes", {"customInput": "only now"})
    [request] = room.letters.waiting_for
    assert request["tool_call"] == {"toolCallId": "t", "title": "Use ***\ufffd"}
    assert len(request["options"]) == 25
    assert {option["optionId"] for option in request["options"]} == {"yes"}
    methods = [entry["method"] for entry in room.entries]
    assert methods == ["_posthog/permission_request", "_posthog/permission_resolved"]
    assert room.entries[0]["params"]["toolCall"]["rawInput"] == "x" * 20_000


async def test_question_that_no_person_can_answer_is_refused_at_once(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    assert await room.talk.decide(PermissionRequest({"toolCallId": "t"}, OPTIONS[1:])) == PermissionAnswer(
        "no\0"
    )
    assert room.letters.waiting_for == []


async def test_log_says_what_is_taken_where_nobody_is_asked(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=False))
    refusing = [option for option in OPTIONS if option.kind.startswith("reject")]

    await room.talk.decide(PermissionRequest({"toolCallId": "t"}, OPTIONS))
    await room.talk.decide(PermissionRequest({"toolCallId": "u"}, refusing))

    assert [entry["params"] for entry in room.entries if entry["method"] == "_taskbeacon/decided"] == [
        {"toolCallId": "t", "optionId": "yes", "name": OPTIONS[0].name},
        {"toolCallId": "u", "optionId": None, "name": None},
    ]


@pytest.mark.parametrize(
    ("mode", "kind", "expected"),
    [
        (None, None, True),
        ("default", "edit", True),
        ("acceptEdits", "execute", True),
        ("plan", "switch_mode", True),
        ("bypassPermissions", "execute", False),
        ("full-access", "edit", False),
        ("bypassPermissions", "switch_mode", True),
    ],
)
def test_modes_that_trust_the_agent_ask_no_person(
    mode: str | None, kind: str | None, *, expected: bool
) -> None:
    assert is_for_people(mode, kind) is expected


def test_refusal_needs_an_option_that_refuses() -> None:
    assert refuse(OPTIONS[:1]) is None
    assert refuse(OPTIONS) == "no\0"
