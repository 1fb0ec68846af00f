"""Deferred pushes (contract 16): held while a person is present, then sent once they have gone, or not needed."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import EventType, NotificationKind, QuestionStatus
from app.models import (
    Event,
    Notification,
    Project,
    PushToken,
    Question,
    QuestionSnooze,
    Run,
    Task,
    TaskMute,
    User,
)
from app.runtime import ProcessContext
from app.services.events.run_ledger import record_for_run
from app.services.notifications import presence, push_claims
from app.services.notifications import push_recipients as notifications
from app.services.notifications.presence import sweep_expired
from app.worker.loops import pushes
from tests.support.clock import MovableClock
from tests.support.database.faults import altered, rolled_back
from tests.support.devices import make_device, make_presence, notifications_of
from tests.support.principals import member_of
from tests.support.questions import make_question
from tests.support.stand_ins.push import PushService

pytestmark = pytest.mark.usefixtures("clock")

Trigger = Callable[..., Awaitable[int]]


@pytest.fixture
def trigger(sessions: SessionFactory, run: Run) -> Trigger:
    """Let the run reach something that is worth a push; returns the number of the event."""

    async def trigger(kind: NotificationKind, question: Question | None = None) -> int:
        async with unit_of_work(sessions) as session:
            type_ = EventType.RUN_AWAITING_INPUT if question else EventType.RUN_COMPLETED
            await record_for_run(session, run.id, type_, [{}])
            await notifications.notify_people(
                session, kind, [run.id], question_id=question.id if question else None
            )
            return await session.scalar(select(Event.seq).order_by(Event.seq.desc()).limit(1)) or 0

    return trigger


@pytest.fixture
def deliver(process: ProcessContext) -> Callable[[], Awaitable[int]]:
    """Let a worker deliver what is due."""

    async def deliver() -> int:
        return await pushes.deliver_due(process)

    return deliver


@pytest.fixture
def beat(client: httpx.AsyncClient, task_url: str, device: PushToken) -> Callable[..., Awaitable[None]]:
    """Let a device say that it shows the task."""

    async def beat(of: PushToken = device, **said: Any) -> None:
        response = await client.post(f"{task_url}/presence/", json={"device_id": str(of.id), **said})
        assert response.status_code == 204, response.text

    return beat


@pytest.fixture
def leave(client: httpx.AsyncClient, task_url: str, device: PushToken) -> Callable[..., Awaitable[None]]:
    async def leave(of: PushToken = device) -> None:
        response = await client.request("DELETE", f"{task_url}/presence/", json={"device_id": str(of.id)})
        assert response.status_code == 204

    return leave


async def only_row(sessions: SessionFactory, task: Task) -> Notification:
    [row] = await notifications_of(sessions, task)
    return row


def history(row: Notification) -> list[tuple[str, str | None]]:
    return [(entry["decision"], entry["reason"]) for entry in row.history]


async def answer(session: AsyncSession, question: Question, by: User, at: datetime) -> None:
    await session.execute(
        update(Question)
        .where(Question.id == question.id)
        .values(status=QuestionStatus.ANSWERED, answered_by_id=by.id, closed_at=at)
    )


async def test_person_who_lapses_gets_the_push_five_seconds_later(
    sessions: SessionFactory,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    await beat()
    clock.advance(seconds=20)
    await trigger(NotificationKind.COMPLETED)
    assert await deliver() == 0
    clock.advance(seconds=44.9)
    assert await deliver() == 0
    clock.advance(seconds=0.1)

    assert await deliver() == 1

    row = await only_row(sessions, task)
    assert history(row) == [("deferred", "presence"), ("sent", None)]
    assert (row.decision, row.deferred_for, row.attempts, row.due_at) == ("sent", 45.0, 1, None)
    assert len(push_service.received) == 1


async def test_person_who_stays_is_waited_for_again_and_again_and_history_says_so_once(
    sessions: SessionFactory, task: Task, clock: MovableClock, trigger: Trigger, beat: Any, deliver: Any
) -> None:
    """Regression: the beat at the decision was replaced by later ones, so that its age was negative."""
    await beat()
    clock.advance(seconds=30)
    await trigger(NotificationKind.COMPLETED)
    for _ in range(5):
        clock.advance(seconds=30)
        await beat()
        assert await deliver() == 0
    row = await only_row(sessions, task)
    assert (history(row), row.attempts) == ([("deferred", "presence")], 0)
    assert row.watching_beat_at == row.created_at - timedelta(seconds=30)
    clock.advance(seconds=64)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    assert (await only_row(sessions, task)).deferred_for == 5 * 30 + 65


async def test_device_that_leaves_has_seen_the_task(
    sessions: SessionFactory,
    task: Task,
    trigger: Trigger,
    clock: MovableClock,
    beat: Any,
    leave: Any,
    deliver: Any,
) -> None:
    await beat()
    await trigger(NotificationKind.COMPLETED)
    await leave()

    row = await only_row(sessions, task)
    assert history(row) == [("deferred", "presence"), ("not_needed", "seen")]
    assert (row.due_at, row.settled_at) == (None, clock.now)
    clock.advance(minutes=10)
    assert await deliver() == 0


async def test_client_that_says_what_it_has_shown_is_believed_when_it_leaves(
    sessions: SessionFactory,
    task: Task,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    leave: Any,
    deliver: Any,
) -> None:
    await beat(seen_seq=0)
    await trigger(NotificationKind.COMPLETED)
    await leave()

    row = await only_row(sessions, task)
    assert (row.decision, row.due_at) == ("deferred", clock.now + timedelta(seconds=5))
    clock.advance(seconds=5)
    assert await deliver() == 1
    assert history(await only_row(sessions, task)) == [("deferred", "presence"), ("sent", None)]


async def test_beat_that_has_shown_the_event_settles_it(
    sessions: SessionFactory, task: Task, trigger: Trigger, beat: Any
) -> None:
    await beat()
    seq = await trigger(NotificationKind.COMPLETED)
    await beat(seen_seq=seq - 1)
    assert (await only_row(sessions, task)).decision == "deferred"

    await beat(seen_seq=seq)

    row = await only_row(sessions, task)
    assert (row.decision, row.reason, row.event_seq) == ("not_needed", "seen", seq)


async def test_number_beyond_the_newest_counts_as_the_newest(
    sessions: SessionFactory, task: Task, trigger: Trigger, beat: Any
) -> None:
    await beat(seen_seq=2**63 - 1)
    await trigger(NotificationKind.COMPLETED)
    await beat(focused=True)

    assert (await only_row(sessions, task)).decision == "deferred"


@pytest.mark.parametrize("field", [{"seen_seq": -1}, {"seen_seq": 2**63}, {"focused": "perhaps"}])
async def test_presence_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, task_url: str, device: PushToken, field: dict[str, Any]
) -> None:
    response = await client.post(f"{task_url}/presence/", json={"device_id": str(device.id), **field})
    assert (response.status_code, response.json()["attr"]) == (400, next(iter(field)))


async def test_device_that_is_not_looked_at_defers_nothing(
    sessions: SessionFactory, task: Task, trigger: Trigger, beat: Any
) -> None:
    await beat(focused=False)
    await trigger(NotificationKind.COMPLETED)
    assert (await only_row(sessions, task)).decision == "pending"


async def test_person_who_looks_away_gets_the_push_five_seconds_later(
    sessions: SessionFactory, task: Task, clock: MovableClock, trigger: Trigger, beat: Any
) -> None:
    await beat()
    await trigger(NotificationKind.COMPLETED)
    clock.advance(seconds=10)
    await beat(focused=False)
    assert (await only_row(sessions, task)).due_at == clock.now + timedelta(seconds=5)


async def test_stream_does_not_say_that_its_device_is_looked_at(
    sessions: SessionFactory,
    owner: User,
    project: Project,
    task: Task,
    device: PushToken,
    trigger: Trigger,
    beat: Any,
) -> None:
    """Beats of a stream renew the presence, and leave what the device said of itself."""
    await beat(focused=False)
    async with unit_of_work(sessions) as own:
        await presence.beat(own, member_of(project, owner), task.id, device.id)
    await trigger(NotificationKind.COMPLETED)
    assert (await only_row(sessions, task)).decision == "pending"


async def test_other_device_that_is_looked_at_still_defers(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    leave: Any,
    deliver: Any,
) -> None:
    laptop = await make_device(session, user=owner)
    await beat(laptop)
    await beat(seen_seq=0)
    await trigger(NotificationKind.COMPLETED)
    await leave()
    clock.advance(seconds=6)
    assert await deliver() == 0
    assert {row.decision for row in await notifications_of(sessions, task)} == {"deferred"}


async def test_sweeping_presence_that_lapsed_loses_nothing(
    sessions: SessionFactory, clock: MovableClock, trigger: Trigger, beat: Any, deliver: Any
) -> None:
    await beat()
    await trigger(NotificationKind.COMPLETED)
    clock.advance(seconds=61)
    async with unit_of_work(sessions) as session:
        await sweep_expired(session)
    clock.advance(seconds=4)
    assert await deliver() == 1


async def test_question_that_is_answered_meanwhile_is_not_needed(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    question = await make_question(session, task=task, run=run)
    await beat()
    await trigger(NotificationKind.AWAITING, question)
    await answer(session, question, owner, clock.now)
    clock.advance(seconds=65)

    assert await deliver() == 0

    assert history(await only_row(sessions, task)) == [("deferred", "presence"), ("not_needed", "answered")]


async def test_deferred_push_takes_no_cooldown_again_and_is_not_eaten_by_a_later_one(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    leave: Any,
    deliver: Any,
) -> None:
    await beat(seen_seq=0)
    first = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, first)
    clock.advance(seconds=31)
    # Its own cooldown is over: this one begins another.
    second = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, second)
    await leave()
    clock.advance(seconds=5)

    assert await deliver() == 2

    rows = {row.question_id: history(row) for row in await notifications_of(sessions, task)}
    assert rows == {q.id: [("deferred", "presence"), ("sent", None)] for q in (first, second)}
    clock.advance(seconds=25)
    third = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, third)
    newest = (await notifications_of(sessions, task))[-1]
    assert (newest.question_id, newest.decision) == (third.id, "pending")


async def test_question_in_the_cooldown_is_sent_at_its_end(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    first = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, first)
    assert await deliver() == 1
    clock.advance(seconds=10)
    second = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, second)
    # Presence did not defer it, so that looking away does not release it.
    await beat(focused=False)
    [_, row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason, row.due_at) == (
        "deferred",
        "cooldown",
        clock.now + timedelta(seconds=20),
    )
    clock.advance(seconds=19)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    [_, row] = await notifications_of(sessions, task)
    assert history(row) == [("deferred", "cooldown"), ("sent", None)]
    assert push_service.tokens == [device.token] * 2


async def test_cooldown_holds_also_when_presence_lets_go_before_it(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    leave: Any,
    deliver: Any,
) -> None:
    first = await make_question(session, task=task, run=run)
    await beat(seen_seq=0)
    await trigger(NotificationKind.AWAITING, first)
    clock.advance(seconds=1)
    await trigger(NotificationKind.AWAITING, await make_question(session, task=task, run=run))
    await leave()
    clock.advance(seconds=5)
    # The first one took the cooldown, the second one waits for its end.
    assert await deliver() == 1
    [first_row, second_row] = await notifications_of(sessions, task)
    assert (first_row.decision, second_row.decision, second_row.reason) == ("sent", "deferred", "cooldown")
    clock.advance(seconds=24)
    assert await deliver() == 1


@pytest.mark.usefixtures("device")
async def test_who_has_just_answered_is_not_pushed_to_at_once(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
    deliver: Any,
) -> None:
    await answer(session, await make_question(session, task=task, run=run), owner, clock.now)
    clock.advance(seconds=4)
    await trigger(NotificationKind.AWAITING, await make_question(session, task=task, run=run))

    row = await only_row(sessions, task)
    assert (row.decision, row.reason, row.due_at) == (
        "deferred",
        "answer_grace",
        clock.now + timedelta(seconds=6),
    )
    clock.advance(seconds=6)
    assert await deliver() == 1


@pytest.mark.usefixtures("device")
async def test_answer_of_another_person_gives_no_grace(
    sessions: SessionFactory,
    session: AsyncSession,
    colleague: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
) -> None:
    await answer(session, await make_question(session, task=task, run=run), colleague, clock.now)
    await trigger(NotificationKind.AWAITING, await make_question(session, task=task, run=run))
    assert (await only_row(sessions, task)).decision == "pending"


@pytest.mark.usefixtures("device")
async def test_snooze_holds_a_notice_back(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    clock: MovableClock,
    trigger: Trigger,
    deliver: Any,
) -> None:
    question = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, question)
    until = clock.now + timedelta(hours=1)
    session.add(QuestionSnooze(question_id=question.id, user_id=owner.id, until=until))
    await session.flush()
    assert await deliver() == 0
    row = await only_row(sessions, task)
    assert (row.decision, row.reason, row.due_at) == ("deferred", "snoozed", until)


@pytest.mark.parametrize("shown", [{}, {"seen_seq": 10**6}], ids=["leave", "seen"])
async def test_question_that_its_person_snoozes_and_leaves_rings_after_the_snooze(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    leave: Any,
    deliver: Any,
    shown: dict[str, Any],
) -> None:
    """Leaving is seeing, which settled it for good: the snooze lost the notice."""
    await beat()
    question = await make_question(session, task=task, run=run)
    await trigger(NotificationKind.AWAITING, question)
    url = f"/api/projects/{project.id}/questions/{question.id}/snooze/"
    assert (await client.post(url, json={"seconds": 3600})).status_code == 200
    await beat(**shown)
    await leave()
    assert await deliver() == 0
    clock.advance(seconds=3599)
    assert await deliver() == 0
    clock.advance(seconds=1)
    assert await deliver() == 1
    assert len(push_service.received) == 1


async def test_open_question_before_a_person_for_ten_minutes_is_one_quiet_reminder(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    question = await make_question(session, task=task, run=run)
    await beat()
    await trigger(NotificationKind.AWAITING, question)
    for _ in range(19):
        clock.advance(seconds=30)
        await beat()
        assert await deliver() == 0
    clock.advance(seconds=30)

    assert await deliver() == 1

    row = await only_row(sessions, task)
    assert history(row) == [("deferred", "presence"), ("reminder", "still_open")]
    [message] = push_service.received
    assert (message.get("sound"), message["interruptionLevel"]) == (None, "passive")
    clock.advance(minutes=10)
    await beat()
    assert await deliver() == 0


async def test_task_that_is_muted_meanwhile_is_not_pushed(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    await beat()
    await trigger(NotificationKind.COMPLETED)
    await session.execute(insert(TaskMute).values(user_id=owner.id, task_id=task.id, created_at=clock.now))
    clock.advance(seconds=65)
    assert await deliver() == 0
    assert history(await only_row(sessions, task)) == [("deferred", "presence"), ("muted", "task_muted")]


async def test_presence_that_cannot_be_read_holds_nothing_back(
    sessions: SessionFactory,
    engine: AsyncEngine,
    session: AsyncSession,
    task: Task,
    device: PushToken,
    clock: MovableClock,
    trigger: Trigger,
    deliver: Any,
) -> None:
    await make_presence(session, task=task, device=device)
    await trigger(NotificationKind.FAILED)
    clock.advance(seconds=65)
    away = altered(
        engine, "ALTER TABLE presence RENAME TO planted", undo="ALTER TABLE planted RENAME TO presence"
    )
    async with away:
        assert await deliver() == 1
        await trigger(NotificationKind.COMPLETED)
    decided = [(row.kind, row.decision) for row in await notifications_of(sessions, task)]
    assert decided == [("failed", "sent"), ("completed", "pending")]


async def test_push_of_a_dispatcher_that_died_after_its_claim_is_sent_once_more(
    sessions: SessionFactory,
    task: Task,
    push_service: PushService,
    process: ProcessContext,
    clock: MovableClock,
    trigger: Trigger,
    beat: Any,
    deliver: Any,
) -> None:
    await beat()
    await trigger(NotificationKind.COMPLETED)
    clock.advance(seconds=65)
    # Died before its claim was committed, then behind it.
    async with rolled_back(sessions) as dying:
        assert len((await push_claims.claim_due(dying)).deliveries) == 1
    async with unit_of_work(process.sessions) as dying:
        assert len((await push_claims.claim_due(dying)).deliveries) == 1
    assert await deliver() == 0
    clock.advance(seconds=60)

    assert await deliver() == 1

    row = await only_row(sessions, task)
    assert (history(row), row.deferred_for) == ([("deferred", "presence"), ("sent", None)], 65.0)
    assert len(push_service.received) == 1
