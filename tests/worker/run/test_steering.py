"""Steering a live agent: a real agent process, and the commands of a client (contract 6.4, 13.6)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clients.redis import create_redis
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import CommandStatus, NotificationDecision, NotificationKind, RunStatus, ServiceMethod
from app.errors import StateRefused
from app.ids import new_id
from app.models import Run
from app.services.enqueueing import wake_run_worker_after_commit
from app.services.runs import command_delivery, run_lifecycle
from app.services.runs.lost_runs import recover_runs
from tests.fixtures.worker import Workshop
from tests.support.database.faults import cut_once
from tests.support.devices import make_device, notifications_of
from tests.support.marked import processes_with
from tests.support.waiting import eventually
from tests.worker.pilot import Pilot, listening
from tests.worker.run.test_run_files import attach

JSON = dict[str, Any]
MakePilot = Callable[..., Awaitable[Pilot]]

INTERACTIVE = {"mode": "interactive"}


@pytest.fixture(autouse=True)
async def woken(workshop: Workshop) -> AsyncGenerator[None, None]:
    async with listening(workshop):
        yield


@pytest.fixture
def make_pilot(workshop: Workshop) -> MakePilot:
    async def make(description: str, *, interactive: bool = False, **task: Any) -> Pilot:
        state = dict(INTERACTIVE) if interactive else None
        return Pilot(workshop, await workshop.queued_run(description, state=state, **task))

    return make


@pytest.fixture
def hold() -> str:
    """A mark that no other process of this machine carries."""
    return f"taskbeacon-{new_id()}"


def until_released(mark: str) -> str:
    """A step that lasts until it is ended; it ignores SIGTERM, and so does what it started."""
    return f"```sh\necho half > half.txt\ntrap '' TERM\nsh -c 'sleep 86400; : {mark}'\n```"


async def until_running(mark: str) -> None:
    await eventually(lambda: processes_with(mark))


class TestMessages:
    async def test_messages_wait_their_turn_and_are_given_in_order(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```ask options=go\nReady?\n```\n```say\none\n```", interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        for number, text in enumerate(("two", "three", "four")):
            answer = await pilot.say(f"```say\n{text}\n```", id=number)
            assert answer == {"jsonrpc": "2.0", "result": {"queued": True}, "id": number}
        await pilot.answer("go")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        ended = await workshop.read(pilot.run)
        assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)
        assert ended.output is not None
        assert ended.output["summary"] == "four"
        assert await pilot.said() == [
            "one",
            *("```say\ntwo\n```", "two"),
            *("```say\nthree\n```", "three"),
            *("```say\nfour\n```", "four"),
        ]
        assert await pilot.statuses() == ["consumed"] * 5
        receipts = await pilot.log("_taskbeacon/command")
        mine = [(each["id"], each["status"]) for each in receipts if "id" in each]
        assert [status for number, status in mine if number == 1] == ["accepted", "delivered", "consumed"]
        # Each is given when the one before is done.
        assert [each for each in mine if each[1] != "accepted"] == [
            (number, status) for number in range(3) for status in ("delivered", "consumed")
        ]

    async def test_messages_to_steer_go_first_and_cleared_ones_are_not_given(
        self, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```ask options=go\nReady?\n```\n```say\none\n```", interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        await pilot.say("```say\ncleared\n```", id="c")
        cleared = await pilot.use_queue(ServiceMethod.QUEUE_CLEAR)
        assert cleared == {"steering": [], "followUp": ["```say\ncleared\n```"]}
        await pilot.say("```say\nlast\n```")
        for text in ("two", "three"):
            await pilot.send("user_message", {"content": f"```say\n{text}\n```", "steer": True})
        assert await pilot.use_queue(ServiceMethod.QUEUE_GET) == {
            "steering": ["```say\ntwo\n```", "```say\nthree\n```"],
            "followUp": ["```say\nlast\n```"],
        }
        await pilot.answer("go")
        await pilot.until_logged("last")
        await pilot.until_waiting_for("message")
        assert await pilot.use_queue(ServiceMethod.QUEUE_GET) == {"steering": [], "followUp": []}
        await pilot.send("close")
        await job

        assert [text for text in await pilot.said() if "```" not in text] == ["one", "two", "three", "last"]
        receipts = await pilot.log("_taskbeacon/command")
        mine = [each for each in receipts if each.get("id") == "c" and each["status"] != "accepted"]
        dropped = [(each["status"], each["reason"], "text" in each) for each in mine]
        assert dropped == [("dropped", "cleared", False)]

    async def test_background_run_ends_when_no_message_waits(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```sh\nwhile ! test -e go; do sleep 0.05; done\n```")
        job = pilot.start()
        await pilot.until_agent_started()
        await pilot.say("```say\nlast words\n```")
        await pilot.send("set_config_option", {"configId": "x", "value": "y"})
        [work] = await self.workspaces(workshop)
        (work / "go").touch()
        await job

        ended = await workshop.read(pilot.run)
        assert (ended.status, (ended.output or {})["summary"]) == (RunStatus.COMPLETED, "last words")
        assert "agent_ended_at" in ended.facts
        with pytest.raises(StateRefused, match="No active sandbox"):
            await pilot.say("too late")

    @staticmethod
    async def workspaces(workshop: Workshop) -> list[Path]:
        root = workshop.context.process.settings.workspaces_path

        async def is_there() -> bool:
            return bool(list(root.glob("*/work/.git")))

        await eventually(is_there)
        return [path.parent for path in root.glob("*/work/.git")]

    async def test_failed_turn_of_an_interactive_run_is_reported_and_can_be_followed_by_another(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```sh\nexit 3\n```", interactive=True)
        job = pilot.start()
        failed = await pilot.until_waiting_for("message")
        await pilot.say("```say\nbetter\n```")
        await pilot.until_logged("better")
        well = await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert (await workshop.read(pilot.run)).status == RunStatus.COMPLETED
        assert (
            failed["failure"]
            == "The agent's turn failed: Step 1 of 1 (sh, line 1) ended with exit status 3. It printed nothing."
        )
        assert "failure" not in well
        [error] = await pilot.log("_posthog/error")
        assert "exit status 3" in error["message"]
        stops = [each["stopReason"] for each in await pilot.log("_posthog/turn_complete")]
        assert stops == ["error", "end_turn"]

    async def test_run_ends_as_its_last_turn_did(self, workshop: Workshop, make_pilot: MakePilot) -> None:
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("message")
        await pilot.say("```sh\nexit 4\n```")
        await pilot.until_logged("exit status 4")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        ended = await workshop.read(pilot.run)
        assert ended.status == RunStatus.FAILED
        assert "exit status 4" in (ended.error_message or "")

    async def test_files_of_a_message_lie_in_the_workspace(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        file = await attach(workshop, pilot.run, name="notes.txt", content=b"from a person")
        lost = await attach(workshop, pilot.run, name="lost.txt", content=None)
        async with unit_of_work(workshop.sessions) as session:
            (await session.get_one(Run, pilot.run.id)).state = dict(INTERACTIVE)
        job = pilot.start()
        await pilot.until_waiting_for("message")
        content = f"```sh\ncat .taskbeacon/attachments/{file['id']}/notes.txt > copy.txt\n```"
        await pilot.say(content, artifact_ids=[file["id"]])
        await pilot.say("x", artifact_ids=[lost["id"]])
        await pilot.until_logged("lost.txt does not exist")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        ended = await workshop.read(pilot.run)
        assert (ended.status, (ended.output or {})["files_changed"]) == (RunStatus.COMPLETED, ["copy.txt"])
        assert (await pilot.said())[1:3] == [content, "notes.txt"]
        assert ("user_message", "dropped", "The attached file lost.txt does not exist any more.") in (
            await pilot.receipts()
        )

    async def test_lost_connection_while_files_of_a_message_are_read_costs_neither_message_nor_run(
        self, workshop: Workshop, make_pilot: MakePilot, engine: AsyncEngine
    ) -> None:
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        file = await attach(workshop, pilot.run, name="notes.txt", content=b"from a person")
        async with unit_of_work(workshop.sessions) as session:
            (await session.get_one(Run, pilot.run.id)).state = dict(INTERACTIVE)
        job = pilot.start()
        await pilot.until_waiting_for("message")
        with cut_once(engine, "SELECT runs.artifacts") as cut:
            await pilot.say("```say\nread\n```", artifact_ids=[file["id"]])
            await pilot.until_logged("read")
            await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert len(cut) == 1
        ended = await workshop.read(pilot.run)
        assert (ended.status, (ended.output or {})["summary"]) == (RunStatus.COMPLETED, "read")
        assert await pilot.statuses() == ["consumed"] * 2

    async def test_blocks_that_the_agent_does_not_take_are_refused(self, make_pilot: MakePilot) -> None:
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("message")
        image = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
        await pilot.send("user_message", {"content": [image]})
        await pilot.send("user_message", {"content": [{"type": "resource", "resource": 5}]})
        await pilot.until_logged("does not know")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        dropped = [receipt[2] for receipt in await pilot.receipts() if receipt[1] == "dropped"]
        assert dropped == [
            "The agent does not take blocks of the type 'image'.",
            "The message has blocks that the Agent Client Protocol does not know.",
        ]


class TestCancelAndClose:
    async def test_cancel_ends_a_background_run(
        self, workshop: Workshop, make_pilot: MakePilot, hold: str
    ) -> None:
        pilot = await make_pilot(until_released(hold))
        job = pilot.start()
        await until_running(hold)
        await pilot.send("cancel")
        await job

        ended = await workshop.read(pilot.run)
        assert (ended.status, ended.error_message, ended.output) == (RunStatus.CANCELLED, None, None)
        assert "+half" in await workshop.stored(ended.artifacts[0]["storage_path"])
        assert await pilot.receipts() == [
            ("cancel", "accepted"),
            ("cancel", "delivered"),
            ("cancel", "consumed", "The run is cancelled."),
        ]
        assert [each["stopReason"] for each in await pilot.log("_posthog/turn_complete")] == ["cancelled"]

    async def test_background_run_goes_on_with_a_message_that_waits(
        self, workshop: Workshop, make_pilot: MakePilot, hold: str
    ) -> None:
        pilot = await make_pilot(until_released(hold))
        job = pilot.start()
        await until_running(hold)
        await pilot.say("```say\ninstead\n```")
        await pilot.send("cancel")
        await job

        ended = await workshop.read(pilot.run)
        assert (ended.status, (ended.output or {})["summary"]) == (RunStatus.COMPLETED, "instead")

    async def test_interactive_run_waits_after_a_cancel(
        self, workshop: Workshop, make_pilot: MakePilot, hold: str
    ) -> None:
        pilot = await make_pilot(until_released(hold), interactive=True)
        job = pilot.start()
        await until_running(hold)
        await pilot.send("cancel")
        await pilot.until_waiting_for("message")
        assert not processes_with(hold)
        await pilot.send("cancel")
        await pilot.until_logged("doing nothing")
        await pilot.say("```say\ninstead\n```")
        await pilot.until_logged("instead")
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        assert (await workshop.read(pilot.run)).status == RunStatus.COMPLETED

    @pytest.mark.parametrize("interactive", [False, True])
    async def test_cancel_and_close_end_every_process_at_once(
        self, workshop: Workshop, hold: str, *, interactive: bool
    ) -> None:
        """Without the time that an agent otherwise has, to end a cancelled turn or itself."""
        patient = workshop.with_times(close=3600, cancel=3600, interrupt=3600)
        state = dict(INTERACTIVE) if interactive else None
        pilot = Pilot(patient, await workshop.queued_run(until_released(hold), state=state))
        job = pilot.start()
        await until_running(hold)

        await pilot.send("cancel")
        await pilot.send("close")
        await job
        assert not processes_with(hold)

        ended = await workshop.read(pilot.run)
        assert ended.status == RunStatus.CANCELLED
        assert "+half" in await workshop.stored(ended.artifacts[0]["storage_path"])
        assert await workshop.left_behind() == []

    async def test_close_before_the_agent_is_there_cancels(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```say\nhi\n```", repository=None)
        async with unit_of_work(workshop.sessions) as session:
            await run_lifecycle.claim(session, owner="before", events=workshop.context.process.events)
        await pilot.send("close")
        async with unit_of_work(workshop.sessions) as session:
            await run_lifecycle.hand_back(
                session, pilot.run.id, owner="before", events=workshop.context.process.events
            )
        await pilot.start()

        assert (await workshop.read(pilot.run)).status == RunStatus.CANCELLED

    async def test_waiting_commands_are_dropped_by_the_end_of_the_run(
        self, workshop: Workshop, make_pilot: MakePilot, hold: str
    ) -> None:
        pilot = await make_pilot(until_released(hold))
        job = pilot.start()
        await until_running(hold)
        await pilot.say("never")
        await pilot.until_logged("accepted")
        async with unit_of_work(workshop.sessions) as session:
            process = workshop.context.process
            await run_lifecycle.set_status(session, pilot.run.id, RunStatus.CANCELLED, events=process.events)
            wake_run_worker_after_commit(session, process.redis, pilot.run.id)
        assert await pilot.statuses() == ["dropped"]
        await job

        receipts = [
            ("user_message", "accepted"),
            ("user_message", "dropped", "The run is cancelled."),
        ]
        assert await pilot.receipts() == receipts
        # Each once, and before the end, after which there is no follower: that is sent again with what the agent left.
        assert await pilot.reports() == [*receipts, *[("ended", "cancelled")] * 2]
        # No other device than the one that sent it knew what was lost.
        [accepted, dropped] = await pilot.log("_taskbeacon/command")
        assert "text" not in accepted
        assert (dropped["text"], dropped["artifact_ids"]) == ("never", [])

    async def test_command_that_was_dropped_before_the_end_has_one_receipt(
        self, workshop: Workshop, make_pilot: MakePilot, hold: str
    ) -> None:
        pilot = await make_pilot(until_released(hold))
        job = pilot.start()
        await until_running(hold)
        await pilot.send("set_config_option", {"configId": "x", "value": "y"})
        await pilot.until_logged("does not offer")
        async with unit_of_work(workshop.sessions) as session:
            process = workshop.context.process
            await run_lifecycle.set_status(session, pilot.run.id, RunStatus.CANCELLED, events=process.events)
            wake_run_worker_after_commit(session, process.redis, pilot.run.id)
        await job

        assert await pilot.receipts() == [
            ("set_config_option", "accepted"),
            ("set_config_option", "delivered"),
            ("set_config_option", "dropped", "The agent does not offer 'x' with the value 'y'."),
        ]

    async def test_commands_to_a_lost_agent_are_dropped_by_the_sweep(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        process = workshop.context.process
        pilot = await make_pilot("```say\nhi\n```")
        async with unit_of_work(workshop.sessions) as session:
            await run_lifecycle.claim(session, owner="lost", events=process.events)
            await run_lifecycle.mark_agent_started(session, pilot.run.id, owner="lost")
        await pilot.say("one", id=7)
        await pilot.say("two")
        async with unit_of_work(workshop.sessions) as session:
            await session.execute(update(Run).values(lease_expires_at=utcnow()))
        for _ in range(2):
            await recover_runs(process)

        dropped = ("user_message", "dropped", "The run is failed.")
        assert await pilot.statuses() == ["dropped", "dropped"]
        assert await pilot.receipts() == [dropped, dropped]
        logged = await pilot.log("_taskbeacon/command")
        assert [(each.get("id"), each["text"]) for each in logged] == [(7, "one"), (None, "two")]
        assert await pilot.reports() == [dropped, dropped, ("ended", "failed")]

    @pytest.mark.parametrize("end", ["lost", "stopped"])
    async def test_cancel_that_a_worker_took_before_its_agent_started_still_counts_at_the_next(
        self, workshop: Workshop, make_pilot: MakePilot, end: str
    ) -> None:
        process = workshop.context.process
        pilot = await make_pilot("```say\nhi\n```")
        async with unit_of_work(workshop.sessions) as session:
            await run_lifecycle.claim(session, owner="lost", events=process.events)
        await pilot.send("cancel")
        async with unit_of_work(workshop.sessions) as session:
            [command] = await command_delivery.read_accepted(session, pilot.run.id, after=0)
            consumed = CommandStatus.CONSUMED
            assert await command_delivery.settle(session, pilot.run.id, command.id, consumed, owner="lost")
            if end == "stopped":
                assert await run_lifecycle.hand_back(
                    session, pilot.run.id, owner="lost", events=process.events
                )
            else:
                await session.execute(update(Run).values(lease_expires_at=utcnow()))
        await recover_runs(process)
        assert await pilot.statuses() == ["accepted"]
        await pilot.start()

        ended = await workshop.read(pilot.run)
        assert (ended.status, ended.attempts) == (RunStatus.CANCELLED, 2)
        assert await pilot.statuses() == ["consumed"]


class TestPermission:
    ASK = "```ask options=red,no\nWhich?\n```\n```sh\necho $TASKBEACON_ANSWER > answer.txt\n```"

    async def test_person_is_asked_and_answers(self, workshop: Workshop, make_pilot: MakePilot) -> None:
        pilot = await make_pilot(self.ASK, interactive=True)
        job = pilot.start()
        waiting = await pilot.until_waiting_for("permission")
        assert waiting["tool_call"]["title"] == "Which?"
        assert [option["optionId"] for option in waiting["options"]] == ["red", "no"]
        refused = await pilot.answer("blue")
        assert refused["error"]["message"] == "The request offers the options red, no."
        assert await pilot.answer("red", customInput="really") == {
            "jsonrpc": "2.0",
            "result": {"resolved": True},
        }
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        ended = await workshop.read(pilot.run)
        assert ended.status == RunStatus.COMPLETED, ended.error_message
        assert "+red" in await workshop.stored(ended.artifacts[0]["storage_path"])
        assert "waiting_for" not in ended.facts
        [request] = await pilot.log("_posthog/permission_request")
        assert request["requestId"] == waiting["request_id"]
        assert request["options"] == waiting["options"]
        [resolved] = await pilot.log("_posthog/permission_resolved")
        assert (resolved["requestId"], resolved["optionId"]) == (waiting["request_id"], "red")
        kinds = [each["kind"] for each in await pilot.log("_taskbeacon/waiting_for")]
        assert kinds == ["permission", "message"]

    async def test_two_answers_at_once_are_one(self, make_pilot: MakePilot) -> None:
        pilot = await make_pilot(self.ASK, interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("permission")
        waiting = (await pilot.state())["waiting_for"]

        def answer(option_id: str) -> Awaitable[Any]:
            return pilot.send(
                "permission_response", {"requestId": waiting["request_id"], "optionId": option_id}
            )

        answers = await asyncio.gather(*(answer(option) for option in ("red", "no") * 3))
        assert sum("result" in each for each in answers) == 1
        assert {each["error"]["code"] for each in answers if "error" in each} == {-32602}
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await job

        [resolved] = await pilot.log("_posthog/permission_resolved")
        counted = ("red", "no")[next(index for index, each in enumerate(answers) if "result" in each) % 2]
        assert resolved["optionId"] == counted

    async def test_silence_is_a_refusal(self, workshop: Workshop) -> None:
        workshop = impatient(workshop)
        pilot = Pilot(workshop, await workshop.queued_run(self.ASK, state=dict(INTERACTIVE)))
        await pilot.start()

        ended = await workshop.read(pilot.run)
        assert ended.status == RunStatus.COMPLETED, ended.error_message
        assert "+no" in await workshop.stored(ended.artifacts[0]["storage_path"])
        assert "waiting_for" not in ended.facts

    async def test_cancel_gives_the_question_up(self, workshop: Workshop, make_pilot: MakePilot) -> None:
        pilot = await make_pilot(self.ASK, interactive=True)
        job = pilot.start()
        asked = await pilot.until_waiting_for("permission")
        await pilot.send("cancel")
        await pilot.until_waiting_for("message")
        late = await pilot.send("permission_response", {"requestId": asked["request_id"], "optionId": "red"})
        assert late["error"]["code"] == -32602
        await pilot.send("close")
        await job

        assert (await workshop.read(pilot.run)).status == RunStatus.CANCELLED

    async def test_background_run_asks_no_person(self, workshop: Workshop, make_pilot: MakePilot) -> None:
        pilot = await make_pilot(self.ASK)
        await pilot.start()

        ended = await workshop.read(pilot.run)
        assert "+red" in await workshop.stored(ended.artifacts[0]["storage_path"])
        assert await pilot.log("_posthog/permission_request") == []


class TestWaiting:
    async def test_interactive_run_ends_when_no_person_comes(self, workshop: Workshop) -> None:
        workshop = impatient(workshop)
        pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state=dict(INTERACTIVE)))
        await pilot.start()

        ended = await workshop.read(pilot.run)
        assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)
        assert "waiting_for" not in ended.facts
        assert [each["kind"] for each in await pilot.log("_taskbeacon/waiting_for")] == ["message"]

    async def test_answered_question_needs_no_push_and_the_next_one_waits_for_the_cooldown(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        async with unit_of_work(workshop.sessions) as session:
            await make_device(session, user=workshop.owner)
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        job = pilot.start()
        await pilot.until_waiting_for("message")
        await pilot.say("```say\nho\n```")
        await pilot.until_waiting_for("message")
        notifications = await notifications_of(workshop.sessions, await workshop.task_of(pilot.run))
        decided = [each.decision for each in notifications if each.kind == NotificationKind.AWAITING]
        assert decided == [NotificationDecision.NOT_NEEDED, NotificationDecision.DEFERRED]
        await pilot.send("close")
        await job


class TestRecovery:
    async def test_next_worker_gets_the_commands_of_the_last_one(
        self, workshop: Workshop, make_pilot: MakePilot
    ) -> None:
        pilot = await make_pilot("```say\nhi\n```", interactive=True)
        first = pilot.start()
        await pilot.until_waiting_for("message")
        await pilot.say("```file path=a.txt\na\n```")
        await pilot.until_logged("a.txt")
        await pilot.until_waiting_for("message")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        returned = await workshop.read(pilot.run)
        assert (returned.status, await pilot.statuses()) == (RunStatus.QUEUED, ["accepted"])
        assert "waiting_for" not in returned.facts

        second = pilot.start()
        await pilot.until_waiting_for("message")
        await pilot.send("close")
        await second

        ended = await workshop.read(pilot.run)
        assert (ended.status, (ended.output or {})["files_changed"]) == (RunStatus.COMPLETED, ["a.txt"])

    async def test_outage_of_redis_only_delays(self, workshop: Workshop) -> None:
        workshop = workshop.with_times(poll=0.5)
        pilot = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state=dict(INTERACTIVE)))
        away = create_redis("redis://127.0.0.1:1/0")
        job = pilot.start()
        await pilot.until_waiting_for("message")
        cut_off = Pilot(workshop, pilot.run, redis=away)
        assert await cut_off.send("close") == {"jsonrpc": "2.0", "result": {"queued": True}}
        await job
        await away.aclose()

        assert (await workshop.read(pilot.run)).status == RunStatus.COMPLETED


def impatient(workshop: Workshop) -> Workshop:
    """Return the same worker, with hardly any patience for people."""
    process = workshop.context.process
    settings = process.settings.model_copy(update={"run_idle_seconds": 1})
    return workshop.with_process(settings=settings)
