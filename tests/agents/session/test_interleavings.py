"""Commands that come at the same moment as another command, or as the end of a turn, a wait or a review."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from acp.helpers import text_block
from typing_extensions import override

from app.agents.errors import AgentCancelled, AgentCrashed
from app.agents.files.attachments import Attachment
from app.agents.session.command_source import Command, TurnPolicy
from app.agents.session.permissions import PermissionRequest
from app.dialogue.shown_questions import ShownQuestion
from app.enums import CommandMethod, CommandStatus
from tests.agents.conftest import eventually
from tests.agents.session.test_agent_session import Stage
from tests.agents.session.test_conversation import OPTIONS, Letters, Room, held
from tests.support.waiting import next_round


async def let_others_go_on() -> None:
    """Let the conversation go as far as it can without an agent or a person."""
    for _ in range(20):
        await next_round()


class Review:
    """A check of the agent's output, which lasts until `go_on` is set."""

    def __init__(self, correction: str | None) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._correction = correction

    async def __call__(self) -> str | None:
        self.begun.set()
        await self.go_on.wait()
        return self._correction


async def test_message_that_comes_during_the_review_reaches_the_agent(stage: Stage) -> None:
    review = Review(None)
    room = Room(stage, TurnPolicy(), review=review)
    async with held(room, "echo") as task:
        await review.begun.wait()
        room.letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=[])
        await eventually(lambda: room.letters.fetched == 1)
        review.go_on.set()
        await task
    assert [status for _, status, _ in room.letters.settled] == ["delivered", "consumed"]


async def test_message_that_comes_during_the_review_precedes_the_correction(stage: Stage) -> None:
    review = Review("Again, please.")
    room = Room(stage, TurnPolicy(), review=review)
    async with held(room, "echo") as task:
        await review.begun.wait()
        room.letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=[])
        await eventually(lambda: room.letters.fetched == 1)
        review.go_on.set()
        await task
    said = room.said()
    assert len(said) == 3
    assert "more" in said[1]
    assert "Again, please." in said[2]


async def test_cancel_during_the_review_ends_the_run(stage: Stage) -> None:
    review = Review("Again, please.")
    room = Room(stage, TurnPolicy(), review=review)
    async with held(room, "echo") as task:
        await review.begun.wait()
        room.letters.put(CommandMethod.CANCEL)
        await eventually(lambda: len(room.letters.settled) == 2)
        review.go_on.set()
        with pytest.raises(AgentCancelled):
            await task
    turns = [entry for entry in room.entries if entry["method"] == "_posthog/turn_complete"]
    assert len(turns) == 1


async def test_close_that_was_accepted_while_the_agent_waits_does_not_cancel_at_the_limit(
    stage: Stage,
) -> None:
    """The worker reads it when the wait has just ended."""

    class Late(Letters):
        has_closed = False

        @override
        async def close(self) -> bool:
            if not self.has_closed:
                self.has_closed = True
                self.put(CommandMethod.CLOSE)
            return await super().close()

    policy = TurnPolicy(interactive=True, human_timeout=timedelta(seconds=0.1))
    room = Room(stage, policy, letters=Late())
    async with held(room, "echo") as task:
        await room.until_waiting()
        await task
    assert not room.talk.is_cancelled


async def test_close_that_is_read_while_the_agent_waits_does_not_cancel_at_the_limit(stage: Stage) -> None:
    """Its receipt is still being stored when the wait ends."""

    class Slow(Letters):
        @override
        async def settle(
            self,
            command: Command,
            status: CommandStatus,
            reason: str | None = None,
            *,
            is_logged: bool = True,
        ) -> bool:
            await self.wait_ended.wait()
            return await super().settle(command, status, reason, is_logged=is_logged)

    policy = TurnPolicy(interactive=True, human_timeout=timedelta(seconds=0.3))
    room = Room(stage, policy, letters=Slow())
    async with held(room, "echo") as task:
        await room.until_waiting()
        room.letters.put(CommandMethod.CLOSE)
        await task
    assert not room.talk.is_cancelled


async def test_conversation_ends_when_all_commands_that_were_read_are_executed(stage: Stage) -> None:
    """A `cancel` beside a `close` was dropped by the end of the run, and cancelled what the `close` had completed."""

    class Slow(Letters):
        @override
        async def settle(
            self,
            command: Command,
            status: CommandStatus,
            reason: str | None = None,
            *,
            is_logged: bool = True,
        ) -> bool:
            await self.wait_ended.wait()
            await let_others_go_on()
            return await super().settle(command, status, reason, is_logged=is_logged)

        @override
        async def close(self) -> bool:
            is_closed = await super().close()
            if is_closed:
                self.settled.append((CommandMethod.CLOSE, CommandStatus.CONSUMED, "the end"))
            return is_closed

    room = Room(stage, TurnPolicy(interactive=True), letters=Slow())
    async with held(room, "echo") as task:
        await room.until_waiting()
        room.letters.put(CommandMethod.CLOSE)
        room.letters.put(CommandMethod.CANCEL)
        await task
    assert room.letters.settled[-1] == (CommandMethod.CLOSE, CommandStatus.CONSUMED, "the end")
    assert [status for method, status, _ in room.letters.settled if method is CommandMethod.CANCEL] == [
        "dropped"
    ]


async def test_repeated_close_ends_the_run_after_the_turn(stage: Stage) -> None:
    """The worker of a run that people had closed was stopped: the next one must not cancel the run."""
    room = Room(stage, TurnPolicy(interactive=True))
    room.letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=[])
    room.letters.put(CommandMethod.CLOSE, is_repeated=True)
    async with held(room, "echo") as task:
        await task
    assert not room.talk.is_cancelled
    assert room.letters.waiting_for == []
    assert (CommandMethod.USER_MESSAGE, CommandStatus.CONSUMED, None) in room.letters.settled


@pytest.mark.parametrize("interactive", [False, True])
async def test_cancel_while_the_files_of_a_message_are_fetched_has_an_effect(
    stage: Stage, *, interactive: bool
) -> None:
    """People see a run that goes on: the message is accepted, and nothing is waited for."""

    class Heavy(Letters):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.go_on = asyncio.Event(), asyncio.Event()

        @override
        async def files(self, ids: Sequence[str]) -> list[Attachment]:
            self.begun.set()
            await self.go_on.wait()
            return []

    letters = Heavy()
    room = Room(stage, TurnPolicy(interactive=interactive), letters=letters)
    async with held(room, "echo") as task:
        letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=["a"])
        await letters.begun.wait()
        letters.put(CommandMethod.CANCEL)
        await eventually(lambda: any(method is CommandMethod.CANCEL for method, _, _ in letters.settled))
        letters.go_on.set()
        await eventually(
            lambda: any(
                method is CommandMethod.USER_MESSAGE and status in {"consumed", "dropped"}
                for method, status, _ in letters.settled
            )
        )
        if interactive:
            letters.put(CommandMethod.CLOSE)
        with pytest.raises(AgentCancelled):
            await task
    turns = [entry for entry in room.entries if entry["method"] == "_posthog/turn_complete"]
    assert len(turns) == 1, letters.settled


async def test_question_ends_with_the_turn_of_its_agent(stage: Stage) -> None:
    """Contract 15.9: it is withdrawn when its turn has ended, in whatever way."""
    room = Room(stage, TurnPolicy(interactive=True))
    asking = asyncio.create_task(room.talk.decide(PermissionRequest({"toolCallId": "t"}, OPTIONS)))
    await room.until_waiting()
    async with held(room, "echo"):
        await eventually(lambda: len(room.letters.waiting_for) == 2)
        assert room.letters.waiting_for[1] == {"kind": "message"}
        async with asyncio.timeout(20):
            assert await asking is None


async def test_cancel_ends_a_run_in_two_seconds_though_a_message_is_being_sent(stage: Stage) -> None:
    """The files of the message come slowly."""

    class Slow(Letters):
        def __init__(self) -> None:
            super().__init__()
            self.begun = asyncio.Event()

        @override
        async def files(self, ids: Sequence[str]) -> list[Attachment]:
            self.begun.set()
            await asyncio.Event().wait()
            return []

    letters = Slow()
    room = Room(stage, TurnPolicy(), letters=letters)
    async with held(room, "take_messages") as task:
        await eventually(lambda: room.talk.is_working)
        letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=["a"])
        await letters.begun.wait()
        letters.put(CommandMethod.CANCEL)
        done, _ = await asyncio.wait({task}, timeout=6)
    assert done, letters.settled


@pytest.mark.parametrize("stop", [CommandMethod.CANCEL, CommandMethod.CLOSE])
async def test_stop_that_is_read_together_with_a_message_stops_its_turn(
    stage: Stage, stop: CommandMethod
) -> None:
    """Read a moment later, it did: now both have the effect that they have one after the other."""
    room = Room(stage, TurnPolicy(interactive=True))
    async with held(room, "echo") as task:
        await room.until_waiting()
        room.letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=[])
        room.letters.put(stop)
        if stop is CommandMethod.CLOSE:
            with pytest.raises(TimeoutError):
                await task
            assert room.talk.is_cancelled
            return
        await eventually(lambda: len(room.letters.waiting_for) == 2)
    assert (stop, CommandStatus.CONSUMED, None) in room.letters.settled
    turns = [entry for entry in room.entries if entry["method"] == "_posthog/turn_complete"]
    assert len(turns) == 1


async def test_cancel_after_the_agent_has_crashed_is_left_for_the_end_of_the_run(stage: Stage) -> None:
    """It was consumed without effect while the agent's network and processes were cleaned up."""
    room = Room(stage, TurnPolicy())
    async with stage.play("crash") as talk, room.time:
        listening = asyncio.create_task(room.talk.listen())
        with pytest.raises(AgentCrashed):
            await room.talk.hold(talk.session, [text_block("go")])
        looks = room.letters.looks
        room.letters.put(CommandMethod.CANCEL)
        await eventually(lambda: room.letters.looks > looks)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert (room.letters.fetched, room.letters.settled) == (0, [])


async def test_cancel_while_slow_files_are_fetched_does_not_end_an_interactive_run(stage: Stage) -> None:
    """No agent disobeys: the message is dropped when its files are there."""

    class Heavy(Letters):
        @override
        async def files(self, ids: Sequence[str]) -> list[Attachment]:
            if ids:
                self.put(CommandMethod.CANCEL)
                await eventually(lambda: any(method is CommandMethod.CANCEL for method, _, _ in self.settled))
                await let_others_go_on()
            return []

    room = Room(stage, TurnPolicy(interactive=True, interrupt_seconds=0), letters=Heavy())
    async with held(room, "echo"):
        await room.until_waiting()
        room.letters.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=["a"])
        await eventually(lambda: len(room.letters.waiting_for) == 2)
    assert not room.talk.is_cancelled
    assert not [entry for entry in room.entries if "more" in str(entry)], (
        "a dropped message is not logged as received"
    )


async def test_cancel_of_a_message_that_is_not_sent_yet_does_not_reach_the_agent(stage: Stage) -> None:
    """It has no turn: it would take the `cancel` for one of its next turn."""

    class Heavy(Letters):
        @override
        async def files(self, ids: Sequence[str]) -> list[Attachment]:
            if ids:
                self.put(CommandMethod.CANCEL)
                await eventually(lambda: any(method is CommandMethod.CANCEL for method, _, _ in self.settled))
                await let_others_go_on()
            return []

    room = Room(stage, TurnPolicy(interactive=True), letters=Heavy())
    async with held(room, "echo"):
        await room.until_waiting()
        room.letters.put(CommandMethod.USER_MESSAGE, content="one", artifact_ids=["a"])
        await eventually(lambda: len(room.letters.waiting_for) == 2)
        room.letters.put(CommandMethod.USER_MESSAGE, content="two", artifact_ids=[])
        await eventually(lambda: len(room.letters.waiting_for) == 3)
    assert "two" in room.said()[1]
    assert not room.reached_idle_agent("session/cancel")


async def test_question_of_a_turn_is_withdrawn_before_the_next_wait(stage: Stage) -> None:
    """Withdrawn later, it took the slot of the waiting run back."""
    order = []

    class Noted(Letters):
        @override
        async def await_message(self, asked: ShownQuestion) -> bool:
            order.append("await")
            return await super().await_message(asked)

        @override
        async def withdraw(self, request_id: str) -> bool:
            order.append("withdraw")
            return await super().withdraw(request_id)

    room = Room(stage, TurnPolicy(interactive=True), letters=Noted())
    asking = asyncio.create_task(room.talk.decide(PermissionRequest({"toolCallId": "t"}, OPTIONS)))
    await room.until_waiting()
    async with held(room, "echo"):
        await eventually(lambda: len(order) == 2)
    await asking
    assert order == ["withdraw", "await"]


async def test_second_of_two_messages_is_sent_into_the_turn_of_the_first(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True))
    async with held(room, "take_messages"):
        await eventually(lambda: room.talk.is_working)
        room.letters.put(CommandMethod.USER_MESSAGE, content="end", artifact_ids=[])
        await room.until_waiting()
        room.letters.put(CommandMethod.USER_MESSAGE, content="one", artifact_ids=[])
        room.letters.put(CommandMethod.USER_MESSAGE, content="two", artifact_ids=[])
        await eventually(
            lambda: [status for _, status, _ in room.letters.settled].count(CommandStatus.DELIVERED) == 3
        )


async def test_second_of_two_messages_is_sent_into_a_turn_that_begins_with_a_word_on_the_budget(
    stage: Stage,
) -> None:
    """The agent refused it, having no turn yet, and it waited for the end of the first one's turn."""

    class Frugal(Room):
        @override
        async def _report(self, message: str) -> None:
            assert message.startswith("Nine tenths of the task's budget are used")
            self.letters.put(CommandMethod.USER_MESSAGE, content="end", artifact_ids=[])
            await eventually(lambda: self.reached_idle_agent("_session/steering"))

    room = Frugal(stage, TurnPolicy(), spent=95)
    async with held(room, "take_messages") as task:
        await task
    assert [status for _, status, _ in room.letters.settled] == [
        CommandStatus.DELIVERED,
        CommandStatus.CONSUMED,
    ]


@pytest.mark.parametrize("is_answered", [False, True], ids=["no message", "a message at this moment"])
async def test_question_for_a_message_is_closed_before_a_correction(
    stage: Stage, *, is_answered: bool
) -> None:
    """People saw an agent that waits for them, while it worked on the correction of its output."""
    order: list[str] = []

    class Noted(Letters):
        @override
        async def withdraw(self, request_id: str) -> bool:
            assert request_id == self.asked[-1].request_id
            order.append(f"withdrawn after turn {room.turns}")
            if is_answered:
                self.put(CommandMethod.USER_MESSAGE, content="more", artifact_ids=[])
            return await super().withdraw(request_id)

        @override
        async def settle(
            self,
            command: Command,
            status: CommandStatus,
            reason: str | None = None,
            *,
            is_logged: bool = True,
        ) -> bool:
            order.append(f"message {status} after turn {room.turns}")
            return await super().settle(command, status, reason, is_logged=is_logged)

    review = Review("Again, please.")
    review.go_on.set()
    policy = TurnPolicy(interactive=True, human_timeout=timedelta(seconds=0.1))
    room = Room(stage, policy, letters=Noted(), review=review)
    async with held(room, "echo") as task:
        if is_answered:
            await eventually(lambda: "message consumed after turn 2" in order)
        else:
            await task
            assert room.turns == 2
    assert order[:2] == ["withdrawn after turn 1", "message delivered after turn 1"][: 1 + is_answered]


async def test_fault_of_a_question_that_looks_for_its_answer_ends_the_run(stage: Stage) -> None:
    """It went to the agent as an error of its request, and commands that were read with the answer were lost."""

    class Late(Letters):
        @override
        async def withdraw(self, request_id: str) -> bool:
            self.put(CommandMethod.PERMISSION_RESPONSE, request_id=request_id, option_id="yes")
            return False

    letters = Late()
    letters.unsettled = frozenset({CommandMethod.PERMISSION_RESPONSE})
    room = Room(stage, TurnPolicy(interactive=True, human_timeout=timedelta(seconds=0.1)), letters=letters)
    async with held(room, "deaf") as task:
        await eventually(lambda: room.talk.is_working)
        asking = asyncio.create_task(room.talk.decide(PermissionRequest({"toolCallId": "t"}, OPTIONS)))
        with pytest.raises(TimeoutError):
            await task
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert isinstance(room.talk.fault, ConnectionError)


async def test_cancel_between_two_turns_is_for_the_next_message(stage: Stage) -> None:
    """It was consumed with the turn before, and the message was performed in full."""

    class Late(Letters):
        @override
        async def settle(
            self,
            command: Command,
            status: CommandStatus,
            reason: str | None = None,
            *,
            is_logged: bool = True,
        ) -> bool:
            is_settled = await super().settle(command, status, reason, is_logged=is_logged)
            if command.params.get("content") == "one" and status is CommandStatus.CONSUMED:
                self.put(CommandMethod.CANCEL)
                await eventually(lambda: self.fetched == 3)
            return is_settled

    room = Room(stage, TurnPolicy(), letters=Late())
    for content in ("one", "two"):
        room.letters.put(CommandMethod.USER_MESSAGE, content=content, artifact_ids=[])
    async with held(room, "echo") as task:
        with pytest.raises(AgentCancelled):
            await task
    turns = [entry for entry in room.entries if entry["method"] == "_posthog/turn_complete"]
    assert len(turns) == 2
    assert room.letters.settled[-1][:2] == (CommandMethod.CANCEL, CommandStatus.CONSUMED)


async def test_run_works_again_after_a_wait_without_a_message(stage: Stage) -> None:
    room = Room(stage, TurnPolicy(interactive=True, human_timeout=timedelta(seconds=0.1)))
    async with held(room, "echo") as task:
        await task
    assert room.letters.resumed == 1
