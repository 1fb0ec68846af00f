"""The effect of a `cancel` or `close` at every moment of a conversation (contract 6.4, ADR 18)."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

import pytest
from typing_extensions import override

from app.agents.errors import AgentCancelled
from app.agents.files.attachments import Attachment
from app.agents.session.command_source import Stop, TurnPolicy
from app.enums import CommandMethod, CommandStatus
from tests.agents.conftest import eventually
from tests.agents.session.test_agent_session import Stage
from tests.agents.session.test_conversation import JSON, Letters, Room, held


class Moment(StrEnum):
    PREPARING = "before the first turn"
    WORKING = "during a turn"
    BETWEEN = "after a turn"
    BEFORE_MESSAGE = "after a turn, with a message for the next one"
    DELIVERING = "while the files of a message are fetched"
    WAITING = "while the agent waits for people"


# By command: in a background run and in an interactive one. A background run does not wait.
CANCEL, CLOSE, REPEATED_CLOSE = "cancel", "close", "repeated close"
ENDS = {
    (Moment.PREPARING, CANCEL): (Stop.RUN, Stop.RUN),
    (Moment.WORKING, CANCEL): (Stop.TURN, Stop.TURN),
    (Moment.BETWEEN, CANCEL): (Stop.RESULT, Stop.NOTHING),
    (Moment.BEFORE_MESSAGE, CANCEL): (Stop.TURN, Stop.TURN),
    (Moment.DELIVERING, CANCEL): (Stop.TURN, Stop.TURN),
    (Moment.WAITING, CANCEL): (None, Stop.NOTHING),
    (Moment.PREPARING, CLOSE): (Stop.RUN, Stop.RUN),
    (Moment.WORKING, CLOSE): (Stop.RUN, Stop.RUN),
    (Moment.BETWEEN, CLOSE): (Stop.RUN, Stop.CONVERSATION),
    (Moment.BEFORE_MESSAGE, CLOSE): (Stop.RUN, Stop.RUN),
    (Moment.DELIVERING, CLOSE): (Stop.RUN, Stop.RUN),
    (Moment.WAITING, CLOSE): (None, Stop.CONVERSATION),
    # Of a run that goes on at another worker: nothing is cut short.
    (Moment.PREPARING, REPEATED_CLOSE): (Stop.WAITING, Stop.WAITING),
    (Moment.WORKING, REPEATED_CLOSE): (Stop.WAITING, Stop.WAITING),
    (Moment.BETWEEN, REPEATED_CLOSE): (Stop.WAITING, Stop.WAITING),
    (Moment.BEFORE_MESSAGE, REPEATED_CLOSE): (Stop.WAITING, Stop.WAITING),
    (Moment.DELIVERING, REPEATED_CLOSE): (Stop.WAITING, Stop.WAITING),
    (Moment.WAITING, REPEATED_CLOSE): (None, Stop.WAITING),
}


class Scene(Room):
    """A conversation that stands still at one moment, until `go_on` is set."""

    def __init__(self, stage: Stage, moment: Moment, *, interactive: bool) -> None:
        scene = self

        class Heavy(Letters):
            @override
            async def files(self, ids: Sequence[str]) -> list[Attachment]:
                await scene.stand_still(Moment.DELIVERING)
                return []

        self.moment = moment
        self.is_there, self.go_on = asyncio.Event(), asyncio.Event()
        super().__init__(stage, TurnPolicy(interactive=interactive), letters=Heavy())

    async def stand_still(self, *moments: Moment) -> None:
        if self.moment in moments:
            self.is_there.set()
            await self.go_on.wait()

    @override
    async def until_prepared(self) -> None:
        await self.stand_still(Moment.PREPARING)

    @override
    async def _emit(self, entry: JSON) -> None:
        await super()._emit(entry)
        if entry["notification"]["method"] == "_posthog/turn_complete":
            await self.stand_still(Moment.BETWEEN, Moment.BEFORE_MESSAGE)

    async def until_there(self) -> None:
        match self.moment:
            case Moment.WORKING:
                await eventually(lambda: self.talk.is_working)
            case Moment.WAITING:
                await self.until_waiting()
            case Moment.DELIVERING:
                self.say("more")
                await self.is_there.wait()
            case Moment.BEFORE_MESSAGE:
                await self.is_there.wait()
                self.say("more")
                await eventually(lambda: self.letters.fetched == 1)
            case Moment.PREPARING | Moment.BETWEEN:
                await self.is_there.wait()

    def say(self, content: str) -> None:
        self.letters.put(CommandMethod.USER_MESSAGE, content=content, artifact_ids=[])

    def receipts(self, method: CommandMethod) -> list[tuple[CommandStatus, bool]]:
        """Return the receipts of the commands of a method: status, and whether there is a reason."""
        return [(status, reason is not None) for of, status, reason in self.letters.settled if of is method]


DELIVERED, CONSUMED, DROPPED = CommandStatus.DELIVERED, CommandStatus.CONSUMED, CommandStatus.DROPPED


@pytest.mark.parametrize(
    ("moment", "command", "interactive", "expected"),
    [
        pytest.param(*at, is_interactive, end, id=f"{at[1]} {at[0]}, {mode}")
        for at, ends in ENDS.items()
        for mode, is_interactive, end in zip(("background", "interactive"), (False, True), ends, strict=True)
        if end is not None
    ],
)
async def test_stop_ends_what_its_moment_demands(
    stage: Stage, moment: Moment, command: str, *, interactive: bool, expected: Stop
) -> None:
    method = CommandMethod.CANCEL if command == CANCEL else CommandMethod.CLOSE
    scene = Scene(stage, moment, interactive=interactive)
    async with held(scene, "take_messages" if moment is Moment.WORKING else "echo") as task:
        await scene.until_there()
        waits = len(scene.letters.waiting_for)
        scene.letters.put(method, is_repeated=command == REPEATED_CLOSE)
        await eventually(lambda: bool(scene.receipts(method)))
        scene.go_on.set()
        if moment is Moment.WORKING and expected is Stop.WAITING:
            scene.say("end")
        goes_on = interactive and expected in {Stop.TURN, Stop.NOTHING}
        if goes_on and moment is not Moment.WAITING:
            await eventually(lambda: task.done() or len(scene.letters.waiting_for) > waits)
        elif not goes_on:
            await eventually(task.done)
        assert task.done() is not goes_on
        error = task.exception() if task.done() else None

    has_message = moment in {Moment.BEFORE_MESSAGE, Moment.DELIVERING}
    assert scene.talk.is_cancelled is (expected is Stop.RUN)
    match expected:
        case Stop.RUN:
            assert type(error) is TimeoutError
            assert scene.receipts(method) == [(DELIVERED, True), (CONSUMED, True)]
        case Stop.TURN:
            assert type(error) is (type(None) if interactive else AgentCancelled)
            assert scene.receipts(method) == [(DELIVERED, False), (CONSUMED, not interactive)]
            assert scene.turns == 1
            assert scene.receipts(CommandMethod.USER_MESSAGE) == [(DROPPED, True)] * has_message
        case Stop.RESULT:
            assert type(error) is AgentCancelled
            assert scene.receipts(method) == [(DELIVERED, True), (CONSUMED, True)]
        case Stop.CONVERSATION | Stop.WAITING:
            assert error is None
            assert scene.receipts(method) == [(DELIVERED, False), (CONSUMED, False)]
            assert scene.turns == 1 + has_message
            assert len(scene.letters.waiting_for) == waits
        case Stop.NOTHING:
            assert scene.receipts(method) == [(DROPPED, True)]
