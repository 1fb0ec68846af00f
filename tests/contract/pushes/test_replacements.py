"""Replacements of notices (contract 16): which are retracted, replaced or repeated once handled, and no others."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import NotificationDecision, Platform, Urgency
from app.models import (
    Notification,
    PushToken,
    Run,
    Task,
    User,
)
from app.runtime import ProcessContext
from app.schemas.notifications import DAYS
from app.services.notifications.claims import MOST_CLAIMS
from app.services.questions import lifecycle as questions
from app.worker.jobs.fetch_receipts import fetch_due
from tests.contract.pushes.conftest import Asks, Deliver
from tests.contract.pushes.rows import answer, end_run, history, only_row, prefer
from tests.support.clock import MovableClock
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device, notifications_of
from tests.support.stand_ins.push import Fault, PushService
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("clock")


async def test_answered_question_replaces_its_notice_and_the_badge_falls(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    colleague: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await session.execute(update(User).where(User.id == colleague.id).values(first_name="Ana"))
    question = await ask()
    await deliver()
    clock.advance(seconds=20)

    await answer(sessions, question, colleague)
    assert await deliver() == 1

    notice, clear = push_service.received
    assert (notice["badge"], clear["badge"]) == (1, 0)
    assert clear["body"] == "Answered by Ana"
    assert clear["collapseId"] == notice["collapseId"]
    assert clear["tag"] == notice["tag"]
    assert (clear["interruptionLevel"], clear["priority"], clear.get("sound")) == ("passive", "normal", None)
    assert "categoryId" not in clear
    # A word that arrives late is known for what it is by its number.
    assert clear["data"]["seq"] > (notice["data"]["seq"] or 0)
    row = await only_row(sessions, task)
    assert history(row) == [("sent", None), ("retracted", "answered")]
    assert (row.decision, row.attempts) == ("retracted", 2)
    clock.advance(hours=1)
    assert await deliver() == 0


async def test_retraction_of_an_expired_question_waits_for_a_device_that_is_away(
    sessions: SessionFactory,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Regression: the retraction lived as long as the question, which was over."""
    await ask(urgency=Urgency.HIGH, expires_at=clock.now + timedelta(minutes=10))
    await deliver()
    clock.advance(minutes=11)
    async with unit_of_work(sessions) as session:
        await questions.withdraw(session, [run.id])
    await deliver()
    notice, clear = push_service.received
    assert (notice["ttl"], clear["ttl"]) == (600, 24 * 3600)


async def test_retraction_goes_by_the_quiet_channel(
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """On Android the channel says how loud a message is."""
    channels = ["questions", "results"]
    await session.execute(update(PushToken).values(platform=Platform.ANDROID, channels=channels))
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    assert [message["channelId"] for message in push_service.received] == channels


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
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    receipt: dict[str, Any],
    then: list[tuple[str, str | None]],
) -> None:
    question = await ask()
    await deliver()
    push_service.receipts[(await only_row(sessions, task)).ticket_id or ""] = receipt
    clock.advance(minutes=15)
    await fetch_due(process)
    await answer(sessions, question, owner)
    await deliver()
    assert history(await only_row(sessions, task)) == then


@pytest.mark.parametrize("decision", [NotificationDecision.PENDING, NotificationDecision.RETRYING])
async def test_notice_that_was_given_up_because_its_results_were_lost_is_retracted(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
    decision: NotificationDecision,
) -> None:
    """Regression: its device, which shows it, went on to show it."""
    question = await ask()
    await session.execute(update(Notification).values(attempts=MOST_CLAIMS, decision=decision))
    await deliver()
    assert history(await only_row(sessions, task)) == [("given_up", "results_lost")]
    await answer(sessions, question, owner)
    await deliver()
    assert [message["data"]["kind"] for message in push_service.received] == ["clear"]
    assert (await only_row(sessions, task)).decision == "retracted"


async def test_receipt_of_a_retraction_leaves_it_retracted(
    process: ProcessContext,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    tickets = select(Notification.ticket_id).where(Notification.ticket_id.is_not(None))
    async with unit_of_work(sessions) as session:
        push_service.receipts |= {
            ticket: {"status": "ok"} for ticket in await session.scalars(tickets) if ticket
        }
    clock.advance(minutes=15)
    assert await fetch_due(process) == 2
    row = await only_row(sessions, task)
    assert (row.decision, row.receipt_due_at, row.settled_at) == ("retracted", None, clock.now)


async def test_notice_that_was_not_sent_is_not_retracted(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await answer(sessions, question, owner)

    assert await deliver() == 0
    clock.advance(hours=1)
    assert await deliver() == 0

    assert push_service.received == []
    assert history(await only_row(sessions, task)) == [("not_needed", "answered")]


async def test_question_that_closes_while_its_notice_is_on_the_wire_is_retracted_afterwards(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    push_service.may_answer.clear()
    sending = asyncio.ensure_future(deliver())
    await eventually(lambda: bool(push_service.batches))
    await answer(sessions, question, owner)
    push_service.may_answer.set()
    await sending

    await deliver()

    assert history(await only_row(sessions, task)) == [("sent", None), ("retracted", "answered")]
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]


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
    sessions: SessionFactory,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    fault: Fault,
    kinds: list[str],
) -> None:
    """The service had it and was slow to say so: the phone kept the buttons of a question that was answered."""
    question = await ask()
    push_service.faults.append(fault)
    await deliver()
    await answer(sessions, question, owner)
    for _ in range(2):
        clock.advance(minutes=1)
        await deliver()
    assert [message["data"].get("kind") for message in push_service.received] == kinds


async def test_end_that_may_have_arrived_does_not_take_the_place_of_its_question(
    sessions: SessionFactory,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Regression: the question counted as replaced, and kept its buttons if the end was given up."""
    await ask()
    await deliver()
    await end_run(sessions, run)
    push_service.faults.append(Fault(503))
    await deliver()
    clock.advance(hours=1)
    push_service.faults.append(Fault(503))
    await deliver()
    clock.advance(minutes=1)
    await deliver()

    rows = {row.kind: history(row) for row in await notifications_of(sessions, task)}
    assert rows["failed"][-1] == ("given_up", "HTTP 503")
    assert rows["awaiting"] == [("sent", None), ("retracted", "withdrawn")]
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]


async def test_refused_retraction_is_tried_again_and_changes_no_decision(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    clock.advance(hours=5)
    await answer(sessions, question, owner)
    push_service.faults.append(Fault(503))
    await deliver()
    assert (await only_row(sessions, task)).decision == "sent"
    clock.advance(seconds=16)
    await deliver()
    assert history(await only_row(sessions, task))[-1] == ("retracted", "answered")
    assert len(push_service.received) == 2


async def test_end_of_the_run_takes_the_place_of_its_question(
    sessions: SessionFactory,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    clock.advance(seconds=40)
    await end_run(sessions, run)
    await deliver()
    clock.advance(minutes=1)
    await deliver()

    notice, end = push_service.received
    assert (end["collapseId"], end["tag"]) == (notice["collapseId"], notice["tag"])
    assert end["data"] == {"taskId": str(task.id), "taskRunId": str(run.id)}
    rows = {row.kind: history(row) for row in await notifications_of(sessions, task)}
    assert rows == {"awaiting": [("sent", None), ("retracted", "replaced")], "failed": [("sent", None)]}
    assert question.id


async def test_question_of_a_run_that_ends_at_night_is_cleared_at_once(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Its buttons waited for the end's own notice, until the morning."""
    clock.now = clock.now.replace(hour=21, minute=55, second=0, microsecond=0)
    night = {"start": "22:00", "end": "07:00", "timezone": "UTC", "days": list(DAYS)}
    await prefer(session, owner, quiet_hours=night)
    await ask()
    await deliver()
    clock.advance(minutes=6)
    await end_run(sessions, run)
    await deliver()
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]
    clock.advance(hours=10)
    await deliver()
    assert push_service.received[2]["body"] == '"Fix the login page" failed'


async def test_question_of_an_ended_run_is_cleared_if_its_end_is_not_pushed(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, failed=False)
    await ask()
    await deliver()
    await end_run(sessions, run)
    await deliver()
    assert [message["body"] for message in push_service.received][1:] == ["No longer needed"]
    assert task.id


async def test_reminder_of_an_open_question_is_sent_once(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, reminder_after_seconds=300)
    question = await ask()
    await deliver()
    clock.advance(seconds=299)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 0

    row = await only_row(sessions, task)
    assert history(row) == [("sent", None), ("reminder", "still_open")]
    notice, reminder = push_service.received
    assert (reminder["tag"], reminder["sound"]) == (notice["tag"], "default")
    await answer(sessions, question, owner)
    assert await deliver() == 1
    assert history(await only_row(sessions, task))[-1] == ("retracted", "answered")


async def test_question_that_was_sent_rings_again_after_each_snooze(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    url = f"/api/projects/{task.project_id}/questions/{question.id}/snooze/"
    for _ in range(2):
        assert (await client.post(url, json={"seconds": 600})).status_code == 200
        clock.advance(seconds=599)
        assert await deliver() == 0
        clock.advance(seconds=1)
        assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 0
    assert [message["sound"] for message in push_service.received] == ["default"] * 3
    reminders = [("reminder", "still_open")] * 2
    assert history(await only_row(sessions, task)) == [("sent", None), *reminders]


async def test_snooze_while_a_reminder_is_on_the_wire_rings_again_at_its_end(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Regression: the result of the first reminder ended the second."""
    await prefer(session, owner, reminder_after_seconds=300)
    question = await ask()
    await deliver()
    clock.advance(seconds=300)
    push_service.may_answer.clear()
    sending = asyncio.ensure_future(deliver())
    await eventually(lambda: len(push_service.batches) == 2)
    url = f"/api/projects/{task.project_id}/questions/{question.id}/snooze/"
    assert (await client.post(url, json={"seconds": 600})).status_code == 200
    push_service.may_answer.set()
    assert await sending == 1
    clock.advance(seconds=599)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 0
    reminders = [("reminder", "still_open")] * 2
    assert history(await only_row(sessions, task)) == [("sent", None), *reminders]


async def test_reminder_that_fails_for_an_hour_is_given_up(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Regression: it was tried as long as the question was open."""
    await prefer(session, owner, reminder_after_seconds=300)
    await ask()
    await deliver()
    clock.advance(seconds=300)
    push_service.faults.extend([Fault(503), Fault(503)])
    assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 1
    clock.advance(hours=1)
    assert await deliver() == 0
    row = await only_row(sessions, task)
    assert row.decision == "sent"
    assert history(row)[-2:] == [("retrying", "HTTP 503"), ("given_up", "HTTP 503")]


async def test_all_that_is_to_be_retracted_is_retracted_at_once(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    run: Run,
    push_service: PushService,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """Without full claims of notices it stopped after the first hundred."""
    for _ in range(100):
        await make_device(session, user=owner)
    await ask()
    assert await deliver() == 101
    async with unit_of_work(sessions) as own:
        await questions.withdraw(own, [run.id])
    assert await deliver() == 101
    assert len(push_service.received) == 202


async def test_answered_question_has_no_reminder(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    await prefer(session, owner, reminder_after_seconds=300)
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    clock.advance(hours=1)
    assert await deliver() == 0
    assert [message["data"].get("kind") for message in push_service.received] == [None, "clear"]


@pytest.mark.parametrize("step", ["claimed", "claim rolled back"])
async def test_retraction_of_a_dispatcher_that_died_is_sent_once_more(
    sessions: SessionFactory,
    task: Task,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
    step: str,
) -> None:
    from app.services.notifications import claims  # noqa: PLC0415 - the step that is broken off

    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    async with (unit_of_work if step == "claimed" else rolled_back)(sessions) as dying:
        assert len((await claims.claim_due(dying)).deliveries) == 1
    clock.advance(seconds=60)
    assert await deliver() == 1
    assert history(await only_row(sessions, task)) == [("sent", None), ("retracted", "answered")]
    assert len(push_service.received) == 2


async def test_notice_of_a_dispatcher_that_died_is_retracted(
    sessions: SessionFactory,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> None:
    """It may have been sent: the phone kept the buttons of a question that was answered within the lease."""
    from app.services.notifications import claims  # noqa: PLC0415 - the step that is broken off

    question = await ask()
    async with unit_of_work(sessions) as dying:
        assert len((await claims.claim_due(dying)).deliveries) == 1
    await answer(sessions, question, owner)
    clock.advance(seconds=60)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    assert [message["data"].get("kind") for message in push_service.received] == ["clear"]


async def test_every_decision_is_explained_by_one_request(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    owner: User,
    task_url: str,
    ask: Asks,
    deliver: Deliver,
) -> None:
    question = await ask()
    await deliver()
    await answer(sessions, question, owner)
    await deliver()
    [row] = (await client.get(f"{task_url}/notifications/")).json()["results"]
    shown: Mapping[str, Any] = row
    assert [(entry["decision"], entry["reason"]) for entry in shown["history"]] == [
        ("sent", None),
        ("retracted", "answered"),
    ]
    assert shown["decision"] == "retracted"
