"""Volume and time of pushes (contract 16): preferences, quiet hours, and the one message at their end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind, Urgency
from app.models import Notification, NotificationPreferences, Project, PushToken, Question, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import digests
from app.services.notifications import push_recipients as notifications
from app.services.questions.question_lifecycle import withdraw
from app.worker.loops import pushes
from app.worker.loops.pushes import release_held
from tests.support.assertions import assert_invalid
from tests.support.clock import MovableClock
from tests.support.database.faults import rolled_back
from tests.support.devices import make_device, make_presence, notifications_of
from tests.support.factories import make_run, make_task
from tests.support.questions import make_live_run, make_question
from tests.support.stand_ins.push import PushService

PREFERENCES = "/api/users/@me/notification_preferences"
NIGHT = {"start": "22:00", "end": "07:00", "timezone": "UTC"}

pytestmark = pytest.mark.usefixtures("clock")

Deliver = Callable[[], Awaitable[int]]
Prefer = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def deliver(process: ProcessContext) -> Deliver:
    async def deliver() -> int:
        await release_held(process)
        return await pushes.deliver_due(process)

    return deliver


@pytest.fixture
def prefer(client: httpx.AsyncClient) -> Prefer:
    async def prefer(**values: Any) -> dict[str, Any]:
        response = await client.patch(f"{PREFERENCES}/", json=values)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    return prefer


@pytest.fixture
def night(clock: MovableClock) -> None:
    """The clock at eleven in the evening, UTC."""
    clock.now = clock.now.replace(hour=23, minute=0, second=0, microsecond=0)


async def trigger(
    sessions: SessionFactory, run: Run, kind: NotificationKind, question: Question | None = None
) -> None:
    async with unit_of_work(sessions) as session:
        await notifications.notify_people(
            session, kind, [run.id], question_id=question.id if question else None
        )


async def decided(sessions: SessionFactory, task: Task) -> list[tuple[str, str | None]]:
    return [(row.decision, row.reason) for row in await notifications_of(sessions, task)]


async def test_preferences_merge_and_are_all_shown(client: httpx.AsyncClient, prefer: Prefer) -> None:
    answers = [
        await prefer(quiet_hours=NIGHT),
        await prefer(allow_during_quiet=["high"]),
        await prefer(push_text="generic", failed=False),
        await prefer(reminder_after_seconds="600"),
    ]
    everything = {
        "completed": True,
        "failed": False,
        "cancelled": True,
        "awaiting": True,
        "notify_user": True,
        "quiet_hours": {**NIGHT, "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]},
        "allow_during_quiet": ["high"],
        "push_text": "generic",
        "reminder_after_seconds": 600,
    }
    assert answers[-1] == everything
    assert (await client.get(PREFERENCES)).json() == everything
    cleared = await prefer(quiet_hours=None, reminder_after_seconds=None)
    assert cleared == everything | {"quiet_hours": None, "reminder_after_seconds": None}


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({"quiet_hours": "22:00"}, "quiet_hours", "not_a_dict"),
        ({"quiet_hours": {**NIGHT, "start": "24:00"}}, "quiet_hours__start", "invalid_input"),
        ({"quiet_hours": {**NIGHT, "end": "7:00"}}, "quiet_hours__end", "invalid_input"),
        ({"quiet_hours": {**NIGHT, "end": "07:00:01"}}, "quiet_hours__end", "invalid_input"),
        ({"quiet_hours": {**NIGHT, "timezone": "Mars/Olympus"}}, "quiet_hours__timezone", "invalid_input"),
        ({"quiet_hours": {**NIGHT, "timezone": "../etc/passwd"}}, "quiet_hours__timezone", "invalid_input"),
        ({"quiet_hours": {**NIGHT, "timezone": 7}}, "quiet_hours__timezone", "invalid_input"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00"}}, "quiet_hours__timezone", "required"),
        ({"quiet_hours": {**NIGHT, "days": ["monday"]}}, "quiet_hours__days", "invalid_choice"),
        ({"quiet_hours": {**NIGHT, "days": []}}, "quiet_hours__days", "invalid_choice"),
        ({"push_text": "loud"}, "push_text", "invalid_choice"),
        ({"push_text": None}, "push_text", "null"),
        ({"reminder_after_seconds": 59}, "reminder_after_seconds", "min_value"),
        ({"reminder_after_seconds": 86_401}, "reminder_after_seconds", "max_value"),
    ],
)
async def test_preference_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], attr: str, code: str
) -> None:
    assert_invalid(await client.patch(PREFERENCES, json=body), attr, code)


@pytest.mark.usefixtures("night", "device")
@pytest.mark.parametrize(
    ("urgency", "allowed", "decision"),
    [
        (Urgency.HIGH, [], "held_quiet_hours"),
        (Urgency.HIGH, ["high"], "pending"),
        (Urgency.NORMAL, ["high"], "held_quiet_hours"),
        (Urgency.NORMAL, ["high", "normal"], "pending"),
        (Urgency.LOW, ["normal"], "held_quiet_hours"),
    ],
)
async def test_quiet_hours_let_through_what_their_person_allows(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    prefer: Prefer,
    urgency: Urgency,
    allowed: list[str],
    decision: str,
) -> None:
    await prefer(quiet_hours=NIGHT, allow_during_quiet=allowed)
    run = await make_live_run(session, task=task)
    question = await make_question(session, task=task, run=run, urgency=urgency)
    await trigger(sessions, run, NotificationKind.AWAITING, question)
    assert [name for name, _ in await decided(sessions, task)] == [decision]


@pytest.mark.usefixtures("night", "device")
async def test_end_of_quiet_hours_is_one_message(
    sessions: SessionFactory,
    session: AsyncSession,
    project: Project,
    owner: User,
    push_service: PushService,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    await prefer(quiet_hours=NIGHT)
    tasks = [await make_task(session, project=project, created_by=owner) for _ in range(6)]
    questions = []
    for number, task in enumerate(tasks):
        run = await make_live_run(session, task=task)
        if number < 4:
            questions.append(await make_question(session, task=task, run=run))
            await trigger(sessions, run, NotificationKind.AWAITING, questions[-1])
        else:
            await trigger(sessions, run, NotificationKind.COMPLETED)
    # One of them needs no answer any more.
    async with unit_of_work(sessions) as own:
        await withdraw(own, [questions[0].run_id])
    assert await deliver() == 0
    clock.now = clock.now.replace(day=clock.now.day + 1, hour=7)

    assert await deliver() == 1

    [message] = push_service.received
    assert (message["body"], message["data"]) == ("3 tasks need you, 2 finished", {})
    states = [await decided(sessions, task) for task in tasks]
    assert states == [[("not_needed", "withdrawn")], *[[("digested", "quiet_hours")]] * 5]
    clock.advance(hours=1)
    assert await deliver() == 0


@pytest.mark.usefixtures("night")
async def test_one_notice_alone_is_sent_as_it_is_after_the_night(
    sessions: SessionFactory,
    task: Task,
    run: Run,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    await prefer(quiet_hours=NIGHT)
    await trigger(sessions, run, NotificationKind.FAILED)
    clock.advance(hours=8)
    assert await deliver() == 1
    [message] = push_service.received
    assert (message["to"], message["body"]) == (device.token, '"Fix the login page" failed')
    [row] = await notifications_of(sessions, task)
    assert [entry["decision"] for entry in row.history] == ["held_quiet_hours", "sent"]
    assert row.deferred_for == 8 * 3600


@pytest.mark.usefixtures("night", "device")
async def test_hours_that_end_when_they_begin_let_go_once_a_day(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    push_service: PushService,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    """Regression: at their end the next hours had begun, which held the push again, for ever."""
    await prefer(quiet_hours={**NIGHT, "end": NIGHT["start"]})
    for _ in range(2):
        run = await make_live_run(session, task=task)
        question = await make_question(session, task=task, run=run)
        await trigger(sessions, run, NotificationKind.AWAITING, question)
    clock.advance(hours=22)
    assert await deliver() == 0
    clock.advance(hours=1)
    assert await deliver() == 1
    assert [message["body"] for message in push_service.received] == ["1 task needs you"]
    decisions = [row.decision for row in await notifications_of(sessions, task)]
    assert sorted(decisions) == ["digested", "digested"]


@pytest.mark.usefixtures("night", "device")
async def test_notice_is_sent_if_the_zone_of_quiet_hours_does_not_exist_any_more(
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    task: Task,
    run: Run,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Zones leave the database of time zones; a name is checked when it is stored only."""
    gone = {**NIGHT, "timezone": "Asia/Atlantis", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    session.add(NotificationPreferences(user_id=owner.id, quiet_hours=gone))
    await session.commit()

    await trigger(sessions, run, NotificationKind.COMPLETED)

    assert await decided(sessions, task) == [("pending", None)]
    [record] = [record for record in caplog.records if "push.zone_unknown" in record.message]
    assert (record.levelname, "Asia/Atlantis" in record.message) == ("ERROR", True)


@pytest.mark.usefixtures("night", "device")
async def test_presence_comes_before_quiet_hours(
    sessions: SessionFactory,
    session: AsyncSession,
    task: Task,
    run: Run,
    device: PushToken,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    await prefer(quiet_hours=NIGHT)
    await make_presence(session, task=task, device=device)
    await trigger(sessions, run, NotificationKind.COMPLETED)
    clock.advance(seconds=65)
    assert await deliver() == 0
    [row] = await notifications_of(sessions, task)
    assert [entry["decision"] for entry in row.history] == ["deferred", "held_quiet_hours"]
    assert row.due_at == clock.now.replace(day=clock.now.day + 1, hour=7, minute=0, second=0)


@pytest.mark.usefixtures("night")
async def test_what_was_seen_in_the_night_is_not_in_the_digest(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    task: Task,
    task_url: str,
    run: Run,
    device: PushToken,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    await prefer(quiet_hours=NIGHT)
    await trigger(sessions, run, NotificationKind.FAILED)
    shown = {"device_id": str(device.id)}
    await client.post(f"{task_url}/presence", json=shown)
    await client.request("DELETE", f"{task_url}/presence", json=shown)
    assert await decided(sessions, task) == [("not_needed", "seen")]
    clock.advance(hours=8)
    assert await deliver() == 0


@pytest.mark.usefixtures("night", "device")
async def test_person_who_ends_their_quiet_hours_gets_what_they_held_back(
    sessions: SessionFactory, task: Task, run: Run, prefer: Prefer, deliver: Deliver
) -> None:
    await prefer(quiet_hours=NIGHT)
    await trigger(sessions, run, NotificationKind.FAILED)
    await prefer(allow_during_quiet=["high"])
    assert await deliver() == 0
    await prefer(quiet_hours=None)
    assert await deliver() == 1
    assert await decided(sessions, task) == [("sent", None)]


@pytest.mark.usefixtures("night")
async def test_two_dispatchers_at_the_end_of_the_night_make_one_message(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    project: Project,
    device: PushToken,
    push_service: PushService,
    clock: MovableClock,
    prefer: Prefer,
    deliver: Deliver,
) -> None:
    await prefer(quiet_hours=NIGHT)
    tablet = await make_device(session, user=owner)
    for _ in range(3):
        task = await make_task(session, project=project, created_by=owner)
        await trigger(sessions, await make_run(session, task=task), NotificationKind.CANCELLED)
    clock.advance(hours=8)
    # One that dies before its commit changes nothing.
    async with rolled_back(sessions) as dying:
        assert await digests.release_held(dying) == 1

    await asyncio.gather(*(deliver() for _ in range(4)))
    await deliver()

    assert sorted(push_service.tokens) == sorted([device.token, tablet.token])
    assert {message["body"] for message in push_service.received} == {"3 tasks were cancelled"}
    kinds = (await session.scalars(select(Notification.kind).where(Notification.kind == "digest"))).all()
    assert len(kinds) == 2
