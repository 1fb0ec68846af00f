"""Messages of agents (contract 16.13): what is decided about each, what the agent hears, and what the person sees."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db import SessionFactory, unit_of_work
from app.dialogue.agent_reports import AgentMessage
from app.enums import NotificationDecision, RunStatus, Urgency
from app.models import Membership, NotificationPreferences, Project, PushToken, Run, Task, TaskMute, User
from app.services.notifications import push_recipients
from tests.contract.pushes.conftest import Deliver
from tests.support.clock import MovableClock
from tests.support.database.faults import altered
from tests.support.devices import make_device, make_presence, notifications_of
from tests.support.factories import make_user
from tests.support.questions import make_live_run
from tests.support.stand_ins.push import PushService

JSON = dict[str, Any]
Say = Callable[..., Awaitable[JSON]]

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def say(sessions: SessionFactory, run: Run) -> Say:
    """Have the agent of the run say something; return what it hears."""

    async def say(message: str = "Tests pass.", urgency: Urgency = Urgency.LOW) -> JSON:
        said = AgentMessage(title="Half way", message=message, urgency=urgency)
        async with unit_of_work(sessions) as session:
            return (await push_recipients.notify_for_agent(session, run.id, said)).answer()

    return say


async def test_message_is_sent_to_all_devices_and_is_shown_as_said_by_the_agent(
    session: AsyncSession,
    sessions: SessionFactory,
    owner: User,
    device: PushToken,
    task: Task,
    run: Run,
    say: Say,
    client: httpx.AsyncClient,
    deliver: Deliver,
    push_service: PushService,
) -> None:
    await make_device(session, user=owner)
    assert await say() == {"decision": "sent", "devices": 2}
    assert await deliver() == 2

    [first, second] = push_service.received
    assert {first["to"], second["to"]} >= {device.token}
    assert (first["title"], first["subtitle"], first["body"]) == ("Half way", "agent", "Tests pass.")
    assert (first["priority"], first["interruptionLevel"]) == ("normal", "passive")
    assert first["data"] == {"taskId": str(task.id), "taskRunId": str(run.id)}

    url = f"/api/projects/{task.project_id}/tasks/{task.id}/notifications/"
    shown = (await client.get(url)).json()["results"]
    assert [(row["kind"], row["title"], row["body"], row["decision"]) for row in shown] == [
        ("notify_user", "Half way", "Tests pass.", "sent")
    ] * 2
    async with unit_of_work(sessions) as other:
        assert (await other.get_one(Run, run.id)).status == RunStatus.IN_PROGRESS


async def test_urgency_is_the_class(
    device: PushToken, task: Task, sessions: SessionFactory, say: Say
) -> None:
    await say(urgency=Urgency.NORMAL)
    [row] = await notifications_of(sessions, task)
    assert (row.device_id, row.urgency) == (device.id, "normal")


@pytest.mark.usefixtures("device")
async def test_limit_is_one_a_minute_and_five_a_run(
    sessions: SessionFactory, task: Task, say: Say, clock: MovableClock
) -> None:
    a_minute = {"decision": "throttled", "reason": "at most one message a minute"}
    for _ in range(4):
        assert (await say())["decision"] == "sent"
        clock.advance(seconds=59)
        assert await say() == a_minute
        clock.advance(seconds=1)
    assert (await say())["decision"] == "sent"
    clock.advance(hours=1)
    a_run = {"decision": "throttled", "reason": "at most five messages a run"}
    assert [await say(), await say()] == [a_run, a_run]
    rows = [
        (row.decision, row.reason, row.device_id is None) for row in await notifications_of(sessions, task)
    ]
    assert rows == [
        *[("pending", None, False), ("throttled", "one_a_minute", True)] * 4,
        ("pending", None, False),
        *[("throttled", "five_a_run", True)] * 2,
    ]


async def test_message_that_reaches_no_device_does_not_count(
    session: AsyncSession, owner: User, say: Say, clock: MovableClock
) -> None:
    """Regression: it used up the minute, and one of five."""
    for _ in range(6):
        assert (await say())["decision"] == "no_token"
        clock.advance(seconds=1)
    await make_device(session, user=owner)
    await session.commit()
    assert [(await say())["decision"] for _ in range(2)] == ["sent", "throttled"]


@pytest.mark.usefixtures("device")
async def test_of_messages_at_once_one_is_sent(say: Say) -> None:
    heard = await asyncio.gather(*(say() for _ in range(8)))
    assert sorted(each["decision"] for each in heard) == ["sent"] + ["throttled"] * 7


@pytest.mark.usefixtures("device")
async def test_decision_that_is_requested_again_is_what_became_of_the_message(
    sessions: SessionFactory, run: Run, clock: MovableClock, deliver: Deliver
) -> None:
    """A worker repeats a commit that may have failed; the push may be on its way, or sent."""
    said = [AgentMessage(title="t", message="m", urgency=Urgency.LOW) for _ in range(2)]

    async def decide(message: AgentMessage) -> JSON:
        clock.advance(seconds=1)
        async with unit_of_work(sessions) as session:
            return (await push_recipients.notify_for_agent(session, run.id, message)).answer()

    sent = {"decision": "sent", "devices": 1}
    throttled = {"decision": "throttled", "reason": "at most one message a minute"}
    assert [await decide(message) for message in (*said, *said)] == [sent, throttled] * 2
    assert await deliver() == 1
    assert await decide(said[0]) == sent


@pytest.mark.usefixtures("device")
async def test_limits_are_of_each_run(
    session: AsyncSession, sessions: SessionFactory, task: Task, say: Say
) -> None:
    other = await make_live_run(session, task=task)
    assert (await say())["decision"] == "sent"
    said = AgentMessage(title="t", message="m", urgency=Urgency.LOW)
    async with unit_of_work(sessions) as own:
        assert (await push_recipients.notify_for_agent(own, other.id, said)).answer()["decision"] == "sent"


async def test_person_who_looks_at_the_task_gets_no_push(
    session: AsyncSession, sessions: SessionFactory, task: Task, device: PushToken, say: Say
) -> None:
    await make_presence(session, task=task, device=device)
    assert await say() == {"decision": "suppressed", "reason": "a person is looking at this task"}
    [row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason, row.watching_device_id) == ("suppressed", "presence", device.id)
    assert row.due_at is None
    assert row.settled_at is not None


async def _mute(session: AsyncSession, task: Task, user: User, clock: MovableClock) -> None:
    session.add(TaskMute(user_id=user.id, task_id=task.id, created_at=clock.now))


async def _turn_kind_off(session: AsyncSession, _task: Task, user: User, _clock: MovableClock) -> None:
    session.add(NotificationPreferences(user_id=user.id, notify_user=False))


async def _turn_project_off(session: AsyncSession, task: Task, _user: User, _clock: MovableClock) -> None:
    await session.execute(update(Project).where(Project.id == task.project_id).values(notify_user=False))


async def _forget_devices(session: AsyncSession, _task: Task, user: User, _clock: MovableClock) -> None:
    await session.execute(delete(PushToken).where(PushToken.user_id == user.id))


async def _leave(session: AsyncSession, task: Task, user: User, _clock: MovableClock) -> None:
    await session.execute(
        delete(Membership).where(Membership.user_id == user.id, Membership.project_id == task.project_id)
    )


async def _begin_night(session: AsyncSession, _task: Task, user: User, clock: MovableClock) -> None:
    clock.now = clock.now.replace(hour=23)
    night = {
        "start": "22:00",
        "end": "07:00",
        "timezone": "UTC",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    }
    session.add(NotificationPreferences(user_id=user.id, quiet_hours=night))


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize(
    ("prepare", "decision", "reason", "words"),
    [
        (_mute, "muted", "task_muted", "the person has muted this task"),
        (_turn_kind_off, "muted", "kind_off", "the person wants no messages of agents"),
        (_turn_project_off, "muted", "project_off", "the project allows no messages of agents"),
        (_forget_devices, "no_token", None, "the person has no device"),
        (_leave, "no_access", None, "the person of this task has no access to it any more"),
        (
            _begin_night,
            "held_quiet_hours",
            "quiet_hours",
            "the person has quiet hours; the message is sent at their end",
        ),
    ],
)
async def test_agent_hears_why_its_message_is_not_sent(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    clock: MovableClock,
    say: Say,
    prepare: Callable[..., Awaitable[None]],
    decision: str,
    reason: str | None,
    words: str,
) -> None:
    await prepare(session, task, owner, clock)
    await session.commit()
    assert await say() == {"decision": decision, "reason": words}
    [row] = await notifications_of(sessions, task)
    assert (row.decision, row.reason) == (decision, reason)


@pytest.mark.usefixtures("device")
async def test_message_of_the_night_is_sent_in_the_morning(
    session: AsyncSession,
    task: Task,
    owner: User,
    clock: MovableClock,
    say: Say,
    deliver: Deliver,
    push_service: PushService,
) -> None:
    await _begin_night(session, task, owner, clock)
    await session.commit()
    await say()
    clock.advance(hours=9)
    await deliver()
    [message] = push_service.received
    assert (message["title"], message["subtitle"], message["body"]) == ("Half way", "agent", "Tests pass.")


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("by", ["person", "project"])
async def test_generic_push_says_nothing_of_the_agents(
    session: AsyncSession,
    sessions: SessionFactory,
    task: Task,
    owner: User,
    say: Say,
    deliver: Deliver,
    push_service: PushService,
    by: str,
) -> None:
    if by == "person":
        session.add(NotificationPreferences(user_id=owner.id, push_text="generic"))
    else:
        await session.execute(
            update(Project).where(Project.id == task.project_id).values(push_text="generic")
        )
    await session.commit()
    await say(message="Something private.")
    await deliver()
    [message] = push_service.received
    assert (message["title"], message["body"]) == ("Taskbeacon", "A task has a message for you")
    assert "subtitle" not in message
    [row] = await notifications_of(sessions, task)
    assert (row.title, row.body) == (None, "A task has a message for you")


@pytest.mark.usefixtures("device")
async def test_fault_in_presence_does_not_hold_it_back(say: Say, engine: AsyncEngine) -> None:
    away = altered(
        engine, "ALTER TABLE presence RENAME TO planted", undo="ALTER TABLE planted RENAME TO presence"
    )
    async with away:
        assert await say() == {"decision": "sent", "devices": 1}


@pytest.mark.usefixtures("device")
async def test_decision_that_is_not_stored_is_not_reported(
    say: Say, engine: AsyncEngine, sessions: SessionFactory, task: Task
) -> None:
    refused = altered(
        engine,
        "ALTER TABLE notifications ADD CONSTRAINT planted CHECK (body = '')",
        undo="ALTER TABLE notifications DROP CONSTRAINT planted",
    )
    async with refused:
        with pytest.raises(IntegrityError, match="planted"):
            await say()

    assert await notifications_of(sessions, task) == []
    # Its cooldown went with it.
    assert await say() == {"decision": "sent", "devices": 1}


async def test_another_member_is_not_notified(
    session: AsyncSession, sessions: SessionFactory, task: Task, device: PushToken, project: Project, say: Say
) -> None:
    other = await make_user(session, projects=[project])
    await make_device(session, user=other)
    assert await say() == {"decision": "sent", "devices": 1}
    [row] = await notifications_of(sessions, task)
    assert (row.device_id, row.decision) == (device.id, NotificationDecision.PENDING)
