"""The ledger: kept with the change or not at all, read without gaps whatever commits late, and swept."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType, RunStatus
from app.errors import InvalidInput
from app.models import Event, EventHorizon, EventSnapshot, Project, Run, User
from app.schemas.events import EventQuery
from app.services.access.principal import Principal
from app.services.events.cursor import START, Cursor
from app.services.events.event_reading import find_end, list_events, parse_types, read_events
from app.services.events.event_sweep import adopt_events, prune_events
from app.services.events.event_types import CATALOGUE, PING, VALID_SELECTORS
from app.services.events.run_ledger import record_for_runs
from app.services.sweeping import until_none_is_left
from app.services.webhook_endpoints.relay import relay_events
from tests.support.clock import MovableClock
from tests.support.database.queries import recorded
from tests.support.factories import make_run, make_task
from tests.support.principals import member_of
from tests.support.waiting import eventually
from tests.support.webhooks import add_event, make_endpoint


@pytest.fixture
def principal(project: Project, owner: User) -> Principal:
    return member_of(project, owner)


@pytest.fixture
async def task_id(session: AsyncSession, project: Project, owner: User) -> UUID:
    return (await make_task(session, project=project, created_by=owner)).id


async def note(session: AsyncSession, project: Project, task_id: UUID, seq: int, **columns: Any) -> UUID:
    values = {"occurred_at": utcnow(), "task_id": task_id, "project_id": project.id, "subject_seq": seq}
    return await add_event(session, EventType.TASK_UPDATED, **{**values, **columns})


class Reader:
    """A reader of the ledger that continues where it left off."""

    def __init__(self, sessions: SessionFactory, principal: Principal) -> None:
        self.seen: list[int | None] = []
        self._sessions = sessions
        self._principal = principal
        self._after = START

    async def read(self) -> None:
        async with unit_of_work(self._sessions) as session:
            rows = await read_events(session, self._principal, self._after, limit=100)
        self.seen += [row.subject_seq for row in rows]
        if rows:
            self._after = rows[-1].place

    async def has_seen(self, *expected: int) -> None:
        async def seen() -> bool:
            await self.read()
            return sorted(filter(None, self.seen)) == sorted(expected)

        await eventually(seen)


async def test_transaction_that_commits_after_two_others_is_not_skipped(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as slow:
        await note(slow, project, task_id, 1)
        for seq in (2, 3):
            async with unit_of_work(sessions) as fast:
                await note(fast, project, task_id, seq)
        # What is committed waits for what may still come before it.
        await reader.read()
        assert reader.seen == []

    await reader.has_seen(1, 2, 3)
    assert reader.seen == [1, 2, 3]


async def test_older_transaction_that_writes_last_is_not_skipped(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    """The older transaction has the lowest and the highest number: by number alone its first event would be skipped."""
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as older:
        await note(older, project, task_id, 1)
        async with unit_of_work(sessions) as newer:
            await note(newer, project, task_id, 2)
        await note(older, project, task_id, 3)
        await reader.read()

    await reader.has_seen(1, 2, 3)


async def test_nothing_is_skipped_or_doubled_by_a_reader_among_many_writers(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    reader = Reader(sessions, principal)
    writing = asyncio.Semaphore(8)

    async def write(seq: int) -> None:
        async with writing, unit_of_work(sessions) as session:
            await note(session, project, task_id, 2 * seq)
            await note(session, project, task_id, 2 * seq + 1)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write(seq)) for seq in range(1, 101)]
        while not all(writer.done() for writer in writers):
            await reader.read()

    await reader.has_seen(*range(2, 202))


async def test_change_that_is_rolled_back_leaves_no_event(
    sessions: SessionFactory, session: AsyncSession, project: Project, task_id: UUID
) -> None:
    async def change() -> None:
        async with unit_of_work(sessions) as failing:
            await note(failing, project, task_id, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()

    assert await session.scalar(select(Event.id)) is None


async def test_old_events_go_in_bounded_steps_and_readers_behind_them_get_a_gap(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID, clock: MovableClock
) -> None:
    reader = Reader(sessions, principal)
    async with unit_of_work(sessions) as session:
        ids = [await note(session, project, task_id, seq) for seq in range(1, 6)]
        session.add(EventSnapshot(event_id=ids[0], snapshot={}))
        await session.flush()
    await reader.has_seen(1, 2, 3, 4, 5)
    behind = await page(sessions, principal)
    clock.advance(days=31)
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 6)

    pruning = partial(prune_events, kept=timedelta(days=30), at_once=2)
    assert await until_none_is_left(sessions, pruning, seconds=0) == 2
    assert await until_none_is_left(sessions, pruning) == 3

    await reader.has_seen(1, 2, 3, 4, 5, 6)
    from_the_start = await page(sessions, principal)
    assert [event["data"]["seq"] for event in from_the_start["results"]] == [6]
    assert from_the_start["truncated"] is True
    assert (await page(sessions, principal, after=behind["next_after"]))["truncated"] is False
    async with unit_of_work(sessions) as session:
        assert (await session.scalars(select(EventSnapshot.event_id))).all() == []


async def test_events_that_the_relay_has_not_read_stay(
    sessions: SessionFactory, project: Project, task_id: UUID, clock: MovableClock
) -> None:
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 1)
    await relay_one(sessions)
    async with unit_of_work(sessions) as session:
        unread = await note(session, project, task_id, 2)
    clock.advance(days=31)

    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1
    async with unit_of_work(sessions) as session:
        assert (await session.scalars(select(Event.id))).all() == [unread]
    await relay_one(sessions)
    async with unit_of_work(sessions) as session:
        assert await prune_events(session, kept=timedelta(days=30)) == 1


async def relay_one(sessions: SessionFactory) -> None:
    async def is_relayed() -> bool:
        """Older transactions, of other tests too, hold the event back."""
        async with unit_of_work(sessions) as session:
            return await relay_events(session, link="", batch=10) == 1

    await eventually(is_relayed)


async def page(sessions: SessionFactory, principal: Principal, **query: Any) -> Any:
    async with unit_of_work(sessions) as session:
        return await list_events(session, principal, EventQuery.model_validate(query), limit=50, link="")


async def test_empty_page_returns_the_place_it_was_given(
    sessions: SessionFactory, principal: Principal
) -> None:
    first = await page(sessions, principal)

    assert first == {"results": [], "next_after": str(START), "truncated": False}
    assert await page(sessions, principal, after=first["next_after"]) == first


async def test_end_of_the_ledger_is_behind_all_that_can_be_read(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    async with unit_of_work(sessions) as session:
        assert await find_end(session) == START
        await note(session, project, task_id, 1)
    await Reader(sessions, principal).has_seen(1)

    async with unit_of_work(sessions) as session:
        end = await find_end(session)
        assert await read_events(session, principal, end, limit=1) == []


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_place_survives_its_text(transaction_id: int, seq: int) -> None:
    cursor = Cursor(transaction_id, seq)

    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=30))
def test_parsed_text_is_that_of_its_place(text: str) -> None:
    cursor = Cursor.parse(text)

    assert cursor is None or str(cursor) == text.rstrip("=")


def test_every_type_is_catalogued_with_an_example_that_its_schema_takes() -> None:
    assert {*CATALOGUE, PING.type} == set(EventType)
    for known in (*CATALOGUE.values(), PING):
        Draft202012Validator.check_schema(known.schema)
        Draft202012Validator(known.schema).validate(known.example)


@pytest.mark.parametrize("text", ["*", "run.*", "question.*", "task.created"])
def test_types_and_patterns_are_selectors(text: str) -> None:
    assert text in VALID_SELECTORS


@pytest.mark.parametrize(
    "text", ["", "run", "run*", "r*", "run.*.x", "*.completed", "run.done", "**", "ping", "Run.*", "run."]
)
def test_any_other_text_is_refused_as_a_selector(text: str) -> None:
    assert text not in VALID_SELECTORS


def test_unknown_type_of_a_list_is_refused() -> None:
    assert parse_types(None) is None
    assert parse_types("run.*, task.created") == ["run.*", "task.created"]
    with pytest.raises(InvalidInput) as refused:
        parse_types("run.*,nothing")
    assert refused.value.body == {
        "type": "validation_error",
        "code": "invalid_choice",
        "detail": f'"nothing" is not a valid choice; choose from {", ".join(VALID_SELECTORS)}.',
        "attr": "type",
    }


async def test_events_of_another_cluster_are_adopted_and_places_in_it_hold(
    sessions: SessionFactory, project: Project, principal: Principal, task_id: UUID
) -> None:
    """As after a dump was restored: numbers of transactions that this cluster will not reach for long."""
    far = 2**40
    async with unit_of_work(sessions) as session:
        for seq in (1, 2):
            await note(session, project, task_id, seq, transaction_id=far + seq)
        numbers = (await session.scalars(select(Event.seq).order_by(Event.seq))).all()
        session.add(EventHorizon(project_id=project.id, transaction_id=far, seq=0))
        await session.flush()
    behind_the_first = str(Cursor(far + 1, numbers[0]))

    assert await adopt_events(sessions) == 2
    assert await adopt_events(sessions) == 0
    async with unit_of_work(sessions) as session:
        await note(session, project, task_id, 3)

    reader = Reader(sessions, principal)
    await reader.has_seen(1, 2, 3)
    assert reader.seen == [1, 2, 3]
    resumed = await page(sessions, principal, after=behind_the_first)
    assert [event["data"]["seq"] for event in resumed["results"]] == [2, 3]
    assert resumed["truncated"] is False


async def recording(engine: AsyncEngine, sessions: SessionFactory, runs: Sequence[Run]) -> int:
    """Record an event of each run in one transaction, and return the number of statements."""
    events = [(run.id, EventType.RUN_ARTIFACT_ADDED, {"artifact_id": "a"}) for run in runs]
    async with recorded(engine) as statements, unit_of_work(sessions) as own:
        await record_for_runs(own, events)
    return len(statements)


async def snapshots_of_runs(session: AsyncSession) -> dict[UUID | None, tuple[str, str]]:
    """Return the ids of the task and of the run in the snapshot of the event of each run."""
    rows = await session.execute(
        select(Event.run_id, EventSnapshot.snapshot).join(EventSnapshot, EventSnapshot.event_id == Event.id)
    )
    return {run_id: (snapshot["task"]["id"], snapshot["run"]["id"]) for run_id, snapshot in rows}


async def test_snapshots_of_many_events_take_the_statements_of_one(
    engine: AsyncEngine, sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    """Regression: the recovery of many runs read two rows for each of them, one after another."""
    await make_endpoint(session, project=project, created_by=owner, url="http://127.0.0.1/", payload="full")
    runs = []
    for _ in range(4):
        task = await make_task(session, project=project, created_by=owner)
        runs.append(await make_run(session, task=task, status=RunStatus.IN_PROGRESS))

    one = await recording(engine, sessions, runs[:1])
    many = await recording(engine, sessions, runs[1:])

    assert many == one
    assert await snapshots_of_runs(session) == {run.id: (str(run.task_id), str(run.id)) for run in runs}
