"""The dispatcher: every combination of what its rules look at, decided as contract 7.2 says; and what faults cost."""

import asyncio
import itertools
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.dialogue.agent_reports import AgentMessage
from app.enums import (
    Environment,
    NotificationDecision,
    NotificationKind,
    OriginProduct,
    Platform,
    RunStatus,
    Urgency,
)
from app.ids import new_id
from app.models import (
    Base,
    Membership,
    Notification,
    NotificationPreferences,
    Presence,
    Project,
    PushCooldown,
    PushToken,
    Run,
    Task,
    TaskMute,
    User,
)
from app.models.runs.run_facts import AGENT_STARTED, with_fact
from app.services.notifications import push_claims
from app.services.notifications import push_recipients as notifications
from app.services.notifications.devices import hash_token
from app.services.notifications.presence import PRESENCE_LIFETIME
from app.services.notifications.push_sentences import message_body
from app.services.notifications.rules.cooldowns import COOLDOWNS
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import RunEnd
from tests.support import runs
from tests.support.clock import MovableClock
from tests.support.database.faults import altered, rolled_back
from tests.support.database.queries import recorded
from tests.support.devices import expo_token, make_device, make_presence, notifications_of
from tests.support.factories import make_organization, make_project, make_run, make_task
from tests.support.metrics import growth
from tests.support.stand_ins.fakes import RecordingEvents

KINDS = list(COOLDOWNS)
A_MOMENT = timedelta(microseconds=1)
EVENTS = RecordingEvents()


class Watcher(Enum):
    """The device that shows a task: which one, and which task."""

    NO_DEVICE = auto()
    OWN_DEVICE = auto()
    OWN_DEVICE_UNTIL_THE_LAST_MOMENT = auto()
    OWN_DEVICE_EXPIRED_NOW = auto()
    OWN_DEVICE_ON_ANOTHER_TASK = auto()
    ANOTHER_USERS_DEVICE = auto()


WATCHING = {Watcher.OWN_DEVICE, Watcher.OWN_DEVICE_UNTIL_THE_LAST_MOMENT}


class Access(Enum):
    """The present state of the account of the task's creator."""

    MEMBER = auto()
    INACTIVE = auto()
    NO_MEMBER = auto()
    DELETED = auto()


class Wish(Enum):
    """The notifications that the task's creator wants."""

    ALL = auto()
    TASK_MUTED = auto()
    KIND_OFF = auto()
    OTHER_KIND_OFF = auto()


class Cooldown(Enum):
    """Whether a push of this kind was sent for this run before."""

    NONE = auto()
    RUNNING = auto()
    OVER_NOW = auto()
    OF_ANOTHER_KIND = auto()


@dataclass(frozen=True)
class Case:
    devices: int
    watcher: Watcher
    access: Access
    wish: Wish


CASES = [Case(*values) for values in itertools.product((0, 1, 3), Watcher, Access, Wish)]


def expected(
    case: Case, cooldown: Cooldown, kind: NotificationKind
) -> list[tuple[NotificationDecision, str | None]]:
    """Return the decisions that the contract requires, one for each row."""
    is_message = kind is NotificationKind.NOTIFY_USER
    if case.access is Access.DELETED:
        return []
    if cooldown is Cooldown.RUNNING and not is_message:
        return [(NotificationDecision.COOLED_DOWN, None)]
    if case.access is not Access.MEMBER:
        return [(NotificationDecision.NO_ACCESS, None)]
    if reason := {Wish.TASK_MUTED: "task_muted", Wish.KIND_OFF: "kind_off"}.get(case.wish):
        return [(NotificationDecision.MUTED, reason)]
    if case.devices == 0:
        return [(NotificationDecision.NO_TOKEN, None)]
    return expected_with_devices(case, cooldown, is_message=is_message)


def expected_with_devices(
    case: Case, cooldown: Cooldown, *, is_message: bool
) -> list[tuple[NotificationDecision, str | None]]:
    """Return the decisions for a person who may get the push on one device or more."""
    if case.watcher in WATCHING:
        rows = 1 if is_message else case.devices
        decision = NotificationDecision.SUPPRESSED if is_message else NotificationDecision.DEFERRED
        return [(decision, "presence")] * rows
    # A message counts if it went to a device: not the earlier one, if the device expires only now.
    if cooldown is Cooldown.RUNNING and case.watcher is not Watcher.OWN_DEVICE_EXPIRED_NOW:
        return [(NotificationDecision.THROTTLED, "one_a_minute")]
    return [(NotificationDecision.PENDING, None)] * case.devices


class Stage:
    """Rows for many cases, collected and then inserted by one statement for each table."""

    def __init__(self, project: Project, kind: NotificationKind) -> None:
        self._project = project
        self._kind = kind
        self._rows: dict[type[Base], list[dict[str, Any]]] = {}
        self._user_ids = itertools.count(1_000_000)

    def add(self, case: Case) -> UUID:
        """Note the rows of a case and return the id of its run."""
        user_id = self._user(case.access)
        task_id = self._task(None if case.access is Access.DELETED else user_id)
        devices = [self._device(user_id) for _ in range(case.devices)]
        self._watch(case.watcher, task_id, user_id, devices)
        other = KINDS[(KINDS.index(self._kind) + 1) % len(KINDS)]
        if case.wish is Wish.TASK_MUTED:
            self._note(TaskMute, user_id=user_id, task_id=task_id, created_at=utcnow())
        elif case.wish is not Wish.ALL:
            off = self._kind if case.wish is Wish.KIND_OFF else other
            wanted = {kind.value: kind is not off for kind in KINDS}
            self._note(NotificationPreferences, user_id=user_id, **wanted)
        run: UUID = self._note(
            Run,
            id=new_id(),
            task_id=task_id,
            project_id=self._project.id,
            status=RunStatus.COMPLETED,
            environment=Environment.CLOUD,
            created_at=utcnow(),
            updated_at=utcnow(),
            completed_at=utcnow(),
        )["id"]
        return run

    async def set_up(self, session: AsyncSession) -> None:
        order = [User, Membership, Task, PushToken, Presence, TaskMute, NotificationPreferences, Run]
        for model in order:
            # Of the table: by the model, rows with and without a NULL would be inserted a few at a time.
            await session.execute(insert(Base.metadata.tables[model.__tablename__]), self._rows[model])

    def _note(self, model: type[Base], **values: Any) -> dict[str, Any]:
        self._rows.setdefault(model, []).append(values)
        return values

    def _user(self, access: Access) -> int:
        user_id = next(self._user_ids)
        self._note(
            User,
            id=user_id,
            uuid=new_id(),
            distinct_id=str(user_id),
            email=f"{user_id}@example.com",
            is_active=access is not Access.INACTIVE,
            date_joined=utcnow(),
        )
        if access is not Access.NO_MEMBER:
            self._note(Membership, user_id=user_id, project_id=self._project.id, created_at=utcnow())
        return user_id

    def _task(self, created_by_id: int | None) -> UUID:
        task_id: UUID = self._note(
            Task,
            id=new_id(),
            project_id=self._project.id,
            created_by_id=created_by_id,
            title="Fix it",
            title_manually_set=True,
            description="",
            origin_product=OriginProduct.USER_CREATED,
            internal=False,
            archived=False,
            created_at=utcnow(),
            updated_at=utcnow(),
        )["id"]
        return task_id

    def _device(self, user_id: int) -> UUID:
        token = expo_token()
        device_id: UUID = self._note(
            PushToken,
            id=new_id(),
            user_id=user_id,
            token=token,
            token_hash=hash_token(token),
            platform=Platform.IOS,
            created_at=utcnow(),
            last_seen_at=utcnow(),
        )["id"]
        return device_id

    def _watch(self, watcher: Watcher, task_id: UUID, user_id: int, devices: list[UUID]) -> None:
        if watcher is Watcher.ANOTHER_USERS_DEVICE:
            user_id = self._user(Access.MEMBER)
            devices = [self._device(user_id)]
        if watcher is Watcher.NO_DEVICE or not devices:
            return
        age = {
            Watcher.OWN_DEVICE_UNTIL_THE_LAST_MOMENT: PRESENCE_LIFETIME - A_MOMENT,
            Watcher.OWN_DEVICE_EXPIRED_NOW: PRESENCE_LIFETIME,
        }.get(watcher, timedelta(seconds=7))
        self._note(
            Presence,
            task_id=self._task(user_id) if watcher is Watcher.OWN_DEVICE_ON_ANOTHER_TASK else task_id,
            push_token_id=devices[-1],
            project_id=self._project.id,
            user_id=user_id,
            expires_at=utcnow() - age + PRESENCE_LIFETIME,
        )


async def notify(session: AsyncSession, kind: NotificationKind, run_ids: list[UUID]) -> None:
    """Request a kind for runs, as what leads to it does."""
    if kind is not NotificationKind.NOTIFY_USER:
        await notifications.notify_people(session, kind, run_ids)
        return
    for run_id in run_ids:
        await notifications.notify_for_agent(
            session, run_id, AgentMessage(title="t", message="m", urgency=Urgency.LOW)
        )


async def arrange_cooldown(
    session: AsyncSession,
    run_ids: list[UUID],
    kind: NotificationKind,
    cooldown: Cooldown,
    clock: MovableClock,
) -> None:
    """Push the kind, or another, for these runs so long ago that the cooldown is where it is to be."""
    if cooldown is Cooldown.NONE:
        return
    other = next(each for each in KINDS if each is not kind)
    earlier = other if cooldown is Cooldown.OF_ANOTHER_KIND else kind
    now = clock.now
    age = COOLDOWNS[kind] - (A_MOMENT if cooldown is Cooldown.RUNNING else timedelta(0))
    clock.now = now - (timedelta(0) if earlier is not kind else age)
    await notify(session, earlier, run_ids)
    clock.now = now
    await session.execute(delete(Notification))


@pytest.mark.slow
@pytest.mark.parametrize("cooldown", Cooldown, ids=lambda value: value.name.lower())
@pytest.mark.parametrize("kind", KINDS)
async def test_every_combination_is_decided_as_the_contract_says(
    sessions: SessionFactory, clock: MovableClock, kind: NotificationKind, cooldown: Cooldown
) -> None:
    async with unit_of_work(sessions) as session:
        project = await make_project(session, organization=await make_organization(session))
        stage = Stage(project, kind)
        # Messages are decided one by one, and all ends alike. Every fifth case has each value of each part.
        is_whole = kind in {NotificationKind.AWAITING, NotificationKind.COMPLETED}
        cases = CASES if is_whole else CASES[::5]
        runs = [stage.add(case) for case in cases]
        await stage.set_up(session)
        await arrange_cooldown(session, runs, kind, cooldown, clock)

        await notify(session, kind, runs)

    async with unit_of_work(sessions) as session:
        decided: dict[UUID, list[tuple[str, str | None]]] = {run_id: [] for run_id in runs}
        for row in await session.execute(
            select(Notification.run_id, Notification.decision, Notification.reason, Notification.due_at)
        ):
            decided[row.run_id].append((row.decision, row.reason))
            is_to_come = row.decision in {NotificationDecision.PENDING, NotificationDecision.DEFERRED}
            assert (row.due_at is not None) == is_to_come
    for case, run_id in zip(cases, runs, strict=True):
        assert decided[run_id] == expected(case, cooldown, kind), case


@pytest.fixture
async def task(session: AsyncSession, project: Project, owner: User, clock: MovableClock) -> Task:
    return await make_task(session, project=project, created_by=owner, title="Fix it", created_at=clock.now)


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_run(
        session, task=task, status=RunStatus.IN_PROGRESS, lease_owner="w", lease_expires_at=utcnow()
    )


@pytest.fixture
async def device(session: AsyncSession, owner: User) -> PushToken:
    return await make_device(session, user=owner)


async def trigger(sessions: SessionFactory, run: Run, kind: NotificationKind) -> None:
    async with unit_of_work(sessions) as session:
        await notifications.notify_people(session, kind, [run.id])


async def decisions(sessions: SessionFactory, task: Task) -> list[str]:
    return [row.decision for row in await notifications_of(sessions, task)]


async def test_deferred_push_consumes_the_cooldown(
    sessions: SessionFactory,
    session: AsyncSession,
    device: PushToken,
    task: Task,
    run: Run,
    clock: MovableClock,
) -> None:
    await make_presence(session, task=task, device=device)
    await trigger(sessions, run, NotificationKind.COMPLETED)
    clock.advance(seconds=61)

    await trigger(sessions, run, NotificationKind.COMPLETED)

    assert await decisions(sessions, task) == ["deferred", "cooled_down"]


@pytest.mark.usefixtures("device")
async def test_cooled_down_trigger_does_not_prolong_the_cooldown(
    sessions: SessionFactory, task: Task, run: Run, clock: MovableClock
) -> None:
    for _ in range(3):
        await trigger(sessions, run, NotificationKind.AWAITING)
        clock.advance(seconds=15)

    assert await decisions(sessions, task) == ["pending", "cooled_down", "pending"]


async def test_deferral_names_the_device_that_watches_and_the_age_of_its_beat(
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    device: PushToken,
    task: Task,
    run: Run,
    clock: MovableClock,
) -> None:
    browser = await make_device(session, user=owner, platform=Platform.WEB)
    await make_presence(session, task=task, device=device, age=timedelta(seconds=50))
    await make_presence(session, task=task, device=browser, age=timedelta(seconds=12))

    await trigger(sessions, run, NotificationKind.FAILED)

    rows = await notifications_of(sessions, task)
    assert {row.device_id for row in rows} == {device.id, browser.id}
    seen = {(row.watching_device_id, row.watching_beat_at) for row in rows}
    assert seen == {(browser.id, clock.now - timedelta(seconds=12))}


@pytest.mark.parametrize(
    ("kind", "title", "body"),
    [
        (NotificationKind.COMPLETED, "Fix it", '"Fix it" finished'),
        (NotificationKind.FAILED, "Fix it", '"Fix it" failed'),
        (NotificationKind.CANCELLED, "Fix it", '"Fix it" was cancelled'),
        (NotificationKind.AWAITING, "Fix it", '"Fix it" needs your input'),
        (NotificationKind.COMPLETED, "", '"Untitled task" finished'),
    ],
)
def test_body_of_a_message_names_task_and_kind(kind: NotificationKind, title: str, body: str) -> None:
    assert message_body(kind, title) == body


async def finish(session: AsyncSession, run: Run, status: RunStatus = RunStatus.COMPLETED) -> bool:
    return await run_lifecycle.finish(session, run.id, RunEnd(status=status), owner="w", events=EVENTS)


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_end_of_a_run_is_notified_once(
    sessions: SessionFactory, task: Task, run: Run, status: RunStatus
) -> None:
    for _ in range(2):
        async with unit_of_work(sessions) as session:
            await finish(session, run, status)

    [row] = await notifications_of(sessions, task)

    assert (row.kind, row.decision, row.run_id) == (status.value, "pending", run.id)


@pytest.mark.usefixtures("run", "device")
async def test_run_failed_by_the_sweeper_is_notified(
    sessions: SessionFactory, task: Task, clock: MovableClock
) -> None:
    async with unit_of_work(sessions) as session:
        await session.execute(update(Run).values(facts=with_fact(AGENT_STARTED, "2026-01-01T00:00:00Z")))
    clock.advance(seconds=120)

    async with unit_of_work(sessions) as session:
        await runs.recover_lapsed(session, events=EVENTS)

    assert [row.kind for row in await notifications_of(sessions, task)] == ["failed"]


@pytest.mark.usefixtures("device")
async def test_rolled_back_end_of_a_run_is_not_notified(
    sessions: SessionFactory, task: Task, run: Run
) -> None:
    async with rolled_back(sessions) as session:
        assert await finish(session, run)

    assert await notifications_of(sessions, task) == []


@pytest.mark.usefixtures("device")
async def test_fault_of_the_dispatcher_costs_the_push_and_not_the_status(
    sessions: SessionFactory, engine: AsyncEngine, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    refused = altered(
        engine,
        "ALTER TABLE notifications ADD CONSTRAINT planted CHECK (body = '')",
        undo="ALTER TABLE notifications DROP CONSTRAINT planted",
    )
    lost = growth("taskbeacon_push_decisions_failed_total", kind="completed")
    async with refused:
        for transaction in (rolled_back, unit_of_work):
            async with transaction(sessions) as session:
                await finish(session, run)

    async with unit_of_work(sessions) as session:
        assert await session.scalar(select(Run.status).where(Run.id == run.id)) == "completed"
        # The cooldown went with the decision.
        assert (await session.scalars(select(PushCooldown.run_id))).all() == []
    assert caplog.text.count("push.not_requested") == 1
    assert lost() == 1


@pytest.mark.usefixtures("device")
async def test_number_of_statements_does_not_grow_with_runs(
    sessions: SessionFactory, session: AsyncSession, task: Task, engine: AsyncEngine
) -> None:
    runs = [(await make_run(session, task=task)).id for _ in range(20)]

    async with unit_of_work(sessions) as own, recorded(engine) as statements:
        await notifications.notify_people(own, NotificationKind.COMPLETED, runs)

    assert len(statements) == 5


@pytest.mark.usefixtures("device")
async def test_of_two_triggers_at_once_one_is_pushed(sessions: SessionFactory, task: Task, run: Run) -> None:
    barrier = asyncio.Barrier(4)

    async def trigger_at_once() -> None:
        async with unit_of_work(sessions) as session:
            await session.execute(text("SELECT 1"))
            await barrier.wait()
            await notifications.notify_people(session, NotificationKind.AWAITING, [run.id])

    await asyncio.gather(*(trigger_at_once() for _ in range(4)))

    assert sorted(await decisions(sessions, task)) == ["cooled_down"] * 3 + ["pending"]


async def test_claim_that_decides_again_costs_a_fixed_number_of_statements(
    sessions: SessionFactory,
    session: AsyncSession,
    engine: AsyncEngine,
    owner: User,
    task: Task,
    clock: MovableClock,
) -> None:
    await make_presence(session, task=task, device=await make_device(session, user=owner))
    runs = [(await make_run(session, task=task)).id for _ in range(20)]
    async with unit_of_work(sessions) as own:
        await notifications.notify_people(own, NotificationKind.COMPLETED, runs)
    clock.advance(seconds=65)
    async with unit_of_work(sessions) as own, recorded(engine) as statements:
        assert len((await push_claims.claim_due(own)).deliveries) == 20
    # Claim, context, presence, what they have become, badges.
    assert len(statements) <= 6
