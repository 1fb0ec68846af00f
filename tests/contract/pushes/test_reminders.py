"""Replacements of notices (contract 16): which are retracted, replaced or repeated once handled, and no others."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from app.db import unit_of_work
from app.enums import NotificationDecision, Platform, Urgency
from app.models import Notification, PushToken, User
from app.runtime import ProcessContext
from app.schemas.notifications import DAYS
from app.services.retrying.policies import PUSH_CLAIMS
from app.worker.jobs.fetch_receipts import fetch_due
from tests.contract.pushes.conftest import PushScene
from tests.contract.pushes.rows import history
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device
from tests.support.stand_ins.push import Fault
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("clock")


async def test_answered_question_replaces_its_notice_and_the_badge_falls(
    scene: PushScene, colleague: User
) -> None:
    await scene.session.execute(update(User).where(User.id == colleague.id).values(first_name="Ana"))
    question = await scene.ask()
    await scene.deliver()
    scene.clock.advance(seconds=20)

    await scene.answer(question, by=colleague)
    assert await scene.deliver() == 1

    notice, clear = scene.received
    assert (notice["badge"], clear["badge"]) == (1, 0)
    assert clear["body"] == "Answered by Ana"
    assert clear["collapseId"] == notice["collapseId"]
    assert clear["tag"] == notice["tag"]
    assert (clear["interruptionLevel"], clear["priority"], clear.get("sound")) == ("passive", "normal", None)
    assert "categoryId" not in clear
    # A word that arrives late is known for what it is by its number.
    assert clear["data"]["seq"] > (notice["data"]["seq"] or 0)
    row = await scene.row()
    assert history(row) == [("sent", None), ("retracted", "answered")]
    # The retraction is no attempt to send the notice.
    assert (row.decision, row.attempts) == ("retracted", 1)
    await scene.assert_last()


async def test_retraction_of_an_expired_question_waits_for_a_device_that_is_away(scene: PushScene) -> None:
    """Regression: the retraction lived as long as the question, which was over."""
    await scene.ask(urgency=Urgency.HIGH, expires_at=scene.clock.now + timedelta(minutes=10))
    await scene.deliver()
    scene.clock.advance(minutes=11)
    await scene.withdraw()
    await scene.deliver()
    notice, clear = scene.received
    assert (notice["ttl"], clear["ttl"]) == (600, 24 * 3600)


async def test_retraction_goes_by_the_quiet_channel(scene: PushScene) -> None:
    """On Android the channel says how loud a message is."""
    channels = ["questions", "results"]
    await scene.session.execute(update(PushToken).values(platform=Platform.ANDROID, channels=channels))
    question = await scene.ask()
    await scene.deliver()
    await scene.answer(question)
    await scene.deliver()
    assert [message["channelId"] for message in scene.received] == channels


@pytest.mark.parametrize(
    ("receipt", "then"),
    [
        ({"status": "ok"}, [("sent", None), ("delivered", None), ("retracted", "answered")]),
        (
            {"status": "error", "details": {"error": "InvalidCredentials"}},
            [("sent", None), ("rejected", "InvalidCredentials")],
        ),
    ],
)
async def test_notice_that_never_reached_its_device_is_not_retracted(
    scene: PushScene, process: ProcessContext, receipt: dict[str, Any], then: list[tuple[str, str | None]]
) -> None:
    question = await scene.ask()
    await scene.deliver()
    scene.push_service.receipts[(await scene.row()).ticket_id or ""] = receipt
    scene.clock.advance(minutes=15)
    await fetch_due(process)
    await scene.answer(question)
    await scene.deliver()
    assert await scene.history() == then


@pytest.mark.parametrize("decision", [NotificationDecision.PENDING, NotificationDecision.RETRYING])
async def test_notice_that_was_given_up_because_its_results_were_lost_is_retracted(
    scene: PushScene, decision: NotificationDecision
) -> None:
    """Regression: its device, which shows it, went on to show it."""
    question = await scene.ask()
    await scene.session.execute(update(Notification).values(attempts=PUSH_CLAIMS, decision=decision))
    await scene.deliver()
    assert await scene.history() == [("given_up", "results_lost")]
    await scene.answer(question)
    await scene.deliver()
    assert scene.kinds == ["clear"]
    assert (await scene.row()).decision == "retracted"


async def test_receipt_of_a_retraction_leaves_it_retracted(scene: PushScene, process: ProcessContext) -> None:
    question = await scene.ask()
    await scene.deliver()
    await scene.answer(question)
    await scene.deliver()
    tickets = select(Notification.ticket_id).where(Notification.ticket_id.is_not(None))
    async with unit_of_work(scene.sessions) as session:
        scene.push_service.receipts |= {
            ticket: {"status": "ok"} for ticket in await session.scalars(tickets) if ticket
        }
    scene.clock.advance(minutes=15)
    assert await fetch_due(process) == 2
    row = await scene.row()
    assert (row.decision, row.receipt_due_at, row.settled_at) == ("retracted", None, scene.clock.now)


async def test_notice_that_was_not_sent_is_not_retracted(scene: PushScene) -> None:
    question = await scene.ask()
    await scene.answer(question)

    assert await scene.deliver() == 0
    await scene.assert_last()

    assert scene.received == []
    assert await scene.history() == [("not_needed", "answered")]


async def test_question_that_closes_while_its_notice_is_on_the_wire_is_retracted_afterwards(
    scene: PushScene,
) -> None:
    question = await scene.ask()
    scene.push_service.may_answer.clear()
    sending = asyncio.ensure_future(scene.deliver())
    await eventually(lambda: bool(scene.push_service.batches))
    await scene.answer(question)
    scene.push_service.may_answer.set()
    await sending

    await scene.deliver()

    assert await scene.history() == [("sent", None), ("retracted", "answered")]
    assert scene.kinds == [None, "clear"]


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (Fault(hangs=True), ["clear"]),
        (Fault(503), ["clear"]),
        (Fault(body=b"<html>"), ["clear"]),
        (Fault(missing_tickets=1), [None, "clear"]),
        (Fault(breaks=True), ["clear"]),
        (Fault(429), []),
        (Fault(401), []),
    ],
    ids=["timed out", "fault", "unreadable", "no ticket", "unexpected", "too many", "not allowed"],
)
async def test_notice_that_may_have_arrived_is_retracted(
    scene: PushScene, fault: Fault, kinds: list[str]
) -> None:
    """The service had it and was slow to say so: the phone kept the buttons of a question that was answered."""
    question = await scene.ask()
    scene.push_service.faults.append(fault)
    await scene.deliver()
    await scene.answer(question)
    for _ in range(2):
        scene.clock.advance(minutes=1)
        await scene.deliver()
    assert scene.kinds == kinds


async def test_end_that_may_have_arrived_does_not_take_the_place_of_its_question(scene: PushScene) -> None:
    """Regression: the question counted as replaced, and kept its buttons if the end was given up."""
    await scene.ask()
    await scene.deliver()
    await scene.end_run()
    scene.push_service.faults.append(Fault(503))
    await scene.deliver()
    scene.clock.advance(hours=1)
    scene.push_service.faults.append(Fault(503))
    await scene.deliver()
    scene.clock.advance(minutes=1)
    await scene.deliver()

    rows = await scene.histories()
    assert rows["failed"][-1] == ("given_up", "HTTP 503")
    assert rows["awaiting"] == [("sent", None), ("retracted", "withdrawn")]
    assert scene.kinds == [None, "clear"]


async def test_refused_retraction_is_tried_again_and_changes_no_decision(scene: PushScene) -> None:
    question = await scene.ask()
    await scene.deliver()
    scene.clock.advance(hours=5)
    await scene.answer(question)
    scene.push_service.faults.append(Fault(503))
    await scene.deliver()
    assert (await scene.row()).decision == "sent"
    scene.clock.advance(seconds=16)
    await scene.deliver()
    assert (await scene.history())[-1] == ("retracted", "answered")
    assert len(scene.received) == 2


async def test_end_of_the_run_takes_the_place_of_its_question(scene: PushScene) -> None:
    await scene.ask()
    await scene.deliver()
    scene.clock.advance(seconds=40)
    await scene.end_run()
    await scene.deliver()
    scene.clock.advance(minutes=1)
    await scene.deliver()

    notice, end = scene.received
    assert (end["collapseId"], end["tag"]) == (notice["collapseId"], notice["tag"])
    assert end["data"] == {"taskId": str(scene.task.id), "taskRunId": str(scene.run.id)}
    rows = await scene.histories()
    assert rows == {"awaiting": [("sent", None), ("retracted", "replaced")], "failed": [("sent", None)]}


async def test_question_of_a_run_that_ends_at_night_is_cleared_at_once(scene: PushScene) -> None:
    """Its buttons waited for the end's own notice, until the morning."""
    scene.clock.now = scene.clock.now.replace(hour=21, minute=55, second=0, microsecond=0)
    night = {"start": "22:00", "end": "07:00", "timezone": "UTC", "days": list(DAYS)}
    await scene.prefer(quiet_hours=night)
    await scene.ask()
    await scene.deliver()
    scene.clock.advance(minutes=6)
    await scene.end_run()
    await scene.deliver()
    assert scene.kinds == [None, "clear"]
    scene.clock.advance(hours=10)
    await scene.deliver()
    assert scene.received[2]["body"] == '"Fix the login page" failed'


async def test_question_of_an_ended_run_is_cleared_if_its_end_is_not_pushed(scene: PushScene) -> None:
    await scene.prefer(failed=False)
    await scene.ask()
    await scene.deliver()
    await scene.end_run()
    await scene.deliver()
    assert [message["body"] for message in scene.received][1:] == ["No longer needed"]


async def test_reminder_of_an_open_question_is_sent_once(scene: PushScene) -> None:
    await scene.prefer(reminder_after_seconds=300)
    question = await scene.ask()
    await scene.deliver()
    await scene.assert_next_after(300)
    await scene.assert_last()

    row = await scene.row()
    assert history(row) == [("sent", None), ("reminder", "still_open")]
    notice, reminder = scene.received
    assert (reminder["tag"], reminder["sound"]) == (notice["tag"], "default")
    await scene.answer(question)
    assert await scene.deliver() == 1
    assert (await scene.history())[-1] == ("retracted", "answered")


async def test_question_that_was_sent_rings_again_after_each_snooze(scene: PushScene) -> None:
    question = await scene.ask()
    await scene.deliver()
    for _ in range(2):
        await scene.snooze(question, seconds=600)
        await scene.assert_next_after(600)
    await scene.assert_last()
    assert [message["sound"] for message in scene.received] == ["default"] * 3
    reminders = [("reminder", "still_open")] * 2
    assert await scene.history() == [("sent", None), *reminders]


async def test_snooze_while_a_reminder_is_on_the_wire_rings_again_at_its_end(scene: PushScene) -> None:
    """Regression: the result of the first reminder ended the second."""
    await scene.prefer(reminder_after_seconds=300)
    question = await scene.ask()
    await scene.deliver()
    scene.clock.advance(seconds=300)
    scene.push_service.may_answer.clear()
    sending = asyncio.ensure_future(scene.deliver())
    await eventually(lambda: len(scene.push_service.batches) == 2)
    await scene.snooze(question, seconds=600)
    scene.push_service.may_answer.set()
    assert await sending == 1
    await scene.assert_next_after(600)
    await scene.assert_last()
    reminders = [("reminder", "still_open")] * 2
    assert await scene.history() == [("sent", None), *reminders]


async def test_reminder_that_fails_for_an_hour_is_given_up(scene: PushScene) -> None:
    """Regression: it was tried as long as the question was open."""
    await scene.prefer(reminder_after_seconds=300)
    await scene.ask()
    await scene.deliver()
    scene.clock.advance(seconds=300)
    scene.push_service.faults.extend([Fault(503), Fault(503)])
    assert await scene.deliver() == 1
    scene.clock.advance(hours=1)
    assert await scene.deliver() == 1
    await scene.assert_last()
    row = await scene.row()
    assert row.decision == "sent"
    assert history(row)[-2:] == [("retrying", "HTTP 503"), ("given_up", "HTTP 503")]


async def test_all_that_is_to_be_retracted_is_retracted_at_once(scene: PushScene) -> None:
    """Without full claims of notices it stopped after the first hundred."""
    for _ in range(100):
        await make_device(scene.session, user=scene.owner)
    await scene.ask()
    assert await scene.deliver() == 101
    await scene.withdraw()
    assert await scene.deliver() == 101
    assert len(scene.received) == 202


async def test_answered_question_has_no_reminder(scene: PushScene) -> None:
    await scene.prefer(reminder_after_seconds=300)
    question = await scene.ask()
    await scene.deliver()
    await scene.answer(question)
    await scene.deliver()
    await scene.assert_last()
    assert scene.kinds == [None, "clear"]


@pytest.mark.parametrize("step", ["claimed", "claim rolled back"])
async def test_retraction_of_a_dispatcher_that_died_is_sent_once_more(scene: PushScene, step: str) -> None:
    from app.services.notifications import push_claims  # noqa: PLC0415 - the step that is broken off

    question = await scene.ask()
    await scene.deliver()
    await scene.answer(question)
    async with (unit_of_work if step == "claimed" else rolled_back)(scene.sessions) as dying:
        assert len((await push_claims.claim_due(dying)).deliveries) == 1
    scene.clock.advance(seconds=60)
    assert await scene.deliver() == 1
    assert await scene.history() == [("sent", None), ("retracted", "answered")]
    assert len(scene.received) == 2


async def test_notice_of_a_dispatcher_that_died_is_retracted(scene: PushScene) -> None:
    """It may have been sent: the phone kept the buttons of a question that was answered within the lease."""
    from app.services.notifications import push_claims  # noqa: PLC0415 - the step that is broken off

    question = await scene.ask()
    async with unit_of_work(scene.sessions) as dying:
        assert len((await push_claims.claim_due(dying)).deliveries) == 1
    await scene.answer(question)
    scene.clock.advance(seconds=60)
    assert await scene.deliver() == 0
    scene.clock.advance(seconds=1)
    assert await scene.deliver() == 1
    assert scene.kinds == ["clear"]


async def test_every_decision_is_explained_by_one_request(
    scene: PushScene, client: httpx.AsyncClient, task_url: str
) -> None:
    question = await scene.ask()
    await scene.deliver()
    await scene.answer(question)
    await scene.deliver()
    [row] = (await client.get(f"{task_url}/notifications/")).json()["results"]
    shown: Mapping[str, Any] = row
    assert [(entry["decision"], entry["reason"]) for entry in shown["history"]] == [
        ("sent", None),
        ("retracted", "answered"),
    ]
    assert shown["decision"] == "retracted"
