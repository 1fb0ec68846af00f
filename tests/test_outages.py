"""One place distinguishes outages from defects, whatever a driver raises (app/outages.py)."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi as adapter
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.redis import RedisClient
from app.clients.storage.object_store_errors import ObjectStoreUnavailable
from app.clients.wakes import WakeListener, publish_change
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, after_commit, create_engine, create_session_factory, unit_of_work
from app.enums import RunStatus
from app.models import Project, PushCooldown, Run, Task, User
from app.outages import DatabaseUnavailable, is_outage, is_value_refused
from app.runtime import ProcessContext
from app.services.retrying.policies import LOOP_SECONDS, RUN_LEASE
from app.services.retrying.retries import in_transaction
from app.services.runs import run_lifecycle
from app.worker.run.lease_and_handback import hold_lease
from tests.support.assertions import assert_error, assert_invalid
from tests.support.callers import Caller
from tests.support.clock import MovableClock, let_time_pass
from tests.support.database.faults import failing_once, refusing
from tests.support.factories import make_run, make_task
from tests.support.waiting import eventually, next_round
from tests.support.web.clients import socket_client
from tests.support.web.serving import serving

_VICTIMS = "taskbeacon-victims"
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1"


def wrapped(kind: str, error: Exception, *, is_lost: bool = False) -> DBAPIError:
    """Return the driver's error as SQLAlchemy passes it on."""
    adapted = getattr(adapter, kind)(str(error), error)
    return DBAPIError("SELECT 1", None, adapted, connection_invalidated=is_lost)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.QueryCanceledError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.InterfaceError("cannot call Connection.fetch(): connection is closed"),
        wrapped("InternalClientError", asyncpg.InternalClientError("cannot switch to state 11")),
        wrapped("InterfaceError", asyncpg.InterfaceError("connection is closed")),
        wrapped("Error", asyncpg.AdminShutdownError("gone")),
        wrapped("Error", asyncpg.PostgresError("gone"), is_lost=True),
        PoolTimeoutError(),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back.", code="8s2b"),
        RedisConnectionError(),
        BusyLoadingError(),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ObjectStoreUnavailable(),
        DatabaseUnavailable(),
    ],
    ids=repr,
)
def test_error_of_a_lost_server_is_an_outage(error: Exception) -> None:
    assert is_outage(error)
    assert not is_value_refused(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UndefinedTableError(),
        asyncpg.UniqueViolationError(),
        asyncpg.InterfaceError("another operation is in progress"),
        asyncpg.ProgramLimitExceededError(),
        wrapped("ProgrammingError", asyncpg.UndefinedTableError("gone")),
        PendingRollbackError("a flush failed", code="7s2a"),
        ResponseError(),
        FileNotFoundError(),
        ValueError(),
    ],
    ids=repr,
)
def test_defect_does_not_count_as_an_outage(error: Exception) -> None:
    assert not is_outage(error)


@pytest.fixture
async def run(session: AsyncSession, project: Project, owner: User) -> Run:
    """A run that a worker performs."""
    task = await make_task(session, project=project, created_by=owner)
    until = task.created_at + RUN_LEASE
    return await make_run(
        session, task=task, status=RunStatus.IN_PROGRESS, lease_owner="w", lease_expires_at=until
    )


async def test_session_that_ends_while_a_push_is_decided_costs_neither_run_nor_push(
    sessions: SessionFactory, engine: AsyncEngine, session: AsyncSession, events: RunEvents, run: Run
) -> None:
    """The change is rolled back with the decision, and both are repeated."""

    async def finish(own: AsyncSession) -> bool:
        return await run_lifecycle.finish(
            own, run.id, run_lifecycle.RunEnd(status=RunStatus.COMPLETED), owner="w", events=events
        )

    async with failing_once(engine, "push_cooldowns"):
        with pytest.raises(DatabaseUnavailable):
            async with unit_of_work(sessions) as own:
                await finish(own)
        assert await session.scalar(select(Run.status).where(Run.id == run.id)) == "in_progress"
        assert await in_transaction(sessions, finish)

    assert await session.scalar(select(Run.status).where(Run.id == run.id)) == "completed"
    assert (await session.scalars(select(PushCooldown.run_id))).all() == [run.id]


@pytest.mark.parametrize("rounds", range(12))
async def test_session_that_ends_is_an_outage_whenever_it_is_noticed(
    sessions: SessionFactory, rounds: int
) -> None:
    """The driver raises another error for each moment: the socket is open, the farewell is read, it is closed."""

    async def work() -> None:
        async with unit_of_work(sessions) as own:
            number = await own.scalar(select(func.pg_backend_pid()))
            async with unit_of_work(sessions) as other:
                await other.execute(select(func.pg_terminate_backend(number)))
            for _ in range(rounds):
                await next_round()
            await own.scalar(select(1))

    with pytest.raises(DatabaseUnavailable):
        await work()


@pytest.mark.parametrize("rounds", [*range(6), None])
async def test_cancellation_at_any_point_of_a_statement_does_not_count_as_an_outage(
    sessions: SessionFactory, session: AsyncSession, rounds: int | None
) -> None:
    """A run hung for ever: what listens for its commands took its own cancellation for an outage, and listened on.

    The statement is cancelled so many rounds of the loop after it was sent; None: once the server performs it.
    """
    asking = "SELECT pg_sleep(300) /* is cancelled */"
    is_connected = asyncio.Event()

    async def work() -> None:
        async with unit_of_work(sessions) as own:
            await own.execute(select(1))
            is_connected.set()
            await own.execute(text(asking))

    working = asyncio.create_task(work())
    await is_connected.wait()
    if rounds is None:
        seen = select(func.count()).select_from(text("pg_stat_activity")).where(text("query = :asking"))
        await eventually(lambda: session.scalar(seen, {"asking": asking}))
    for _ in range(rounds or 0):
        await next_round()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_time_limit_around_a_statement_is_its_own_error(sessions: SessionFactory) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), unit_of_work(sessions) as own:
            await own.execute(select(func.pg_sleep(60)))


async def test_defect_of_an_effect_is_logged_and_holds_back_no_other(
    sessions: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    performed = asyncio.Event()

    async def fail() -> None:
        raise ValueError("a defect")

    async def perform() -> None:
        performed.set()

    async with unit_of_work(sessions) as own:
        after_commit(own, fail)
        after_commit(own, perform)

    assert performed.is_set()
    [logged] = [record for record in caplog.records if "db.after_commit_failed" in record.message]
    assert (logged.levelname, "Traceback" in logged.message) == ("ERROR", True)


async def test_broken_socket_of_another_server_is_no_outage_of_the_database(sessions: SessionFactory) -> None:
    with pytest.raises(BrokenPipeError):
        async with unit_of_work(sessions):
            raise BrokenPipeError


async def test_effects_share_one_time_limit(engine: AsyncEngine, caplog: pytest.LogCaptureFixture) -> None:
    """With a frozen Redis each of them took two seconds, and the response waited for all."""
    begun, performed = 0, asyncio.Event()

    async def wait() -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    async def perform() -> None:
        performed.set()

    async with asyncio.timeout(2), unit_of_work(create_session_factory(engine, hook_seconds=0.1)) as own:
        for hook in (wait, partial(wait), perform):
            after_commit(own, hook)

    assert (begun, performed.is_set()) == (2, True)
    logged = [record for record in caplog.records if "db.after_commit_failed" in record.message]
    assert [(record.levelname, "wait" in record.message) for record in logged] == [("WARNING", True)] * 2


async def test_heartbeat_goes_on_when_its_session_ends(
    sessions: SessionFactory, engine: AsyncEngine, session: AsyncSession, redis: RedisClient, run: Run
) -> None:
    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())

    async def is_extended() -> bool:
        await publish_change(redis, run.id)
        until = await session.scalar(select(Run.lease_expires_at).where(Run.id == run.id))
        return until != run.lease_expires_at

    try:
        async with (
            failing_once(engine, "runs"),
            hold_lease(
                sessions,
                changes,
                run.id,
                partial(run_lifecycle.extend_lease, run_id=run.id, owner="w"),
                since=utcnow(),
            ) as lost,
        ):
            await eventually(is_extended)
            assert not lost.is_set()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_lease_lapses_for_the_worker_no_later_than_for_the_others(
    sessions: SessionFactory, redis: RedisClient, run: Run, clock: MovableClock
) -> None:
    """Claims and extensions take time: leases count from before them."""
    asked = 0

    async def extend(_session: AsyncSession, *, slow: bool) -> bool:
        nonlocal asked
        asked += 1
        if not slow or asked == 2:
            raise DatabaseUnavailable
        clock.now += RUN_LEASE
        return True

    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())
    claimed_at = clock.now
    try:
        for slow, passed in ((False, RUN_LEASE), (True, timedelta())):
            asked, clock.now = 0, claimed_at + passed
            async with hold_lease(
                sessions, changes, run.id, partial(extend, slow=slow), since=claimed_at
            ) as lost:

                async def is_lost(lost: asyncio.Event = lost) -> bool:
                    await publish_change(redis, run.id)
                    return lost.is_set()

                await eventually(is_lost)
            assert asked == 1 + slow
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_lease_that_cannot_be_extended_is_lost_when_it_lapses(
    sessions: SessionFactory,
    redis: RedisClient,
    run: Run,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Regression: the next attempt was ten seconds later, and so was the loss."""

    async def extend(_session: AsyncSession) -> bool:
        clock.advance(seconds=1)
        raise DatabaseUnavailable

    claimed_at, clock.now = clock.now, clock.now + RUN_LEASE - timedelta(seconds=1)
    changes = WakeListener(redis, pause=LOOP_SECONDS)
    async with hold_lease(sessions, changes, run.id, extend, since=claimed_at) as lost:
        await next_round()
        let_time_pass(monkeypatch, seconds=1)
        for _ in range(100):
            await next_round()
        assert lost.is_set()


async def test_database_that_does_not_answer_keeps_no_lapsed_lease(
    sessions: SessionFactory, redis: RedisClient, run: Run, clock: MovableClock
) -> None:
    async def extend(_session: AsyncSession) -> bool:
        await asyncio.Event().wait()
        return True

    changes = WakeListener(redis, pause=LOOP_SECONDS)
    listening = asyncio.create_task(changes.listen())
    claimed_at, clock.now = clock.now, clock.now + RUN_LEASE
    try:
        async with hold_lease(sessions, changes, run.id, extend, since=claimed_at) as lost:

            async def is_lost() -> bool:
                await publish_change(redis, run.id)
                return lost.is_set()

            await eventually(is_lost)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_server_ends_the_transaction_of_a_client_that_has_vanished(engine: AsyncEngine) -> None:
    """Its locks would keep others, and its transaction id all readers of the ledger, waiting for hours."""
    async with engine.connect() as connection:
        limits = {
            name: (await connection.exec_driver_sql(f"SHOW {name}")).scalar_one()
            for name in ("idle_in_transaction_session_timeout", "tcp_keepalives_idle", "tcp_keepalives_count")
        }
    assert limits == {
        "idle_in_transaction_session_timeout": "1min",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_count": "3",
    }


@pytest.mark.walls
async def test_value_that_the_database_cannot_keep_is_refused(
    client: httpx.AsyncClient, engine: AsyncEngine, tasks_url: str
) -> None:
    for code in ("54000", "22001"):
        async with refusing(engine, "tasks", code=code):
            answer = await client.post(tasks_url, json={"title": "too large"})
        assert_invalid(answer, None, "invalid_input", detail="A value is too large to be stored.")


@pytest.mark.parametrize("code", ["57P01", "40P01", "53200", "58030"])
async def test_failure_of_the_server_is_unavailable(
    client: httpx.AsyncClient, engine: AsyncEngine, tasks_url: str, code: str
) -> None:
    async with refusing(engine, "tasks", code=code):
        answer = await client.post(tasks_url, json={"title": "made"})
    assert_error(
        answer,
        503,
        type="server_error",
        code="unavailable",
        detail="The database does not answer. Please try again in a moment.",
    )


@pytest.fixture
async def victims(settings: Settings) -> AsyncGenerator[AsyncEngine, None]:
    """An engine with sessions that a test ends."""
    engine = create_engine(settings, application_name=_VICTIMS, plan_once=True)
    yield engine
    await engine.dispose()


async def test_sessions_that_end_under_load_make_no_other_error_than_503(
    application: FastAPI,
    process: ProcessContext,
    victims: AsyncEngine,
    session: AsyncSession,
    settings: Settings,
    caller: Caller,
    project: Project,
    tasks_url: str,
) -> None:
    application.state.process = replace(process, sessions=create_session_factory(victims))
    answers: Counter[int] = Counter()
    created: list[str] = []
    over = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        for number in range(25):
            made = await client.post(tasks_url, json={"title": f"Task {number}"})
            answers[made.status_code] += 1
            if made.status_code != 201:
                continue
            created.append(made.json()["id"])
            url = f"{tasks_url}/{created[-1]}"
            for answer in (
                await client.patch(url, json={"title": "changed"}),
                await client.get(tasks_url, params={"search": f"{number}"}),
                await client.post(f"{url}/run"),
                await client.get(url),
            ):
                answers[answer.status_code] += 1

    async def end_sessions() -> int:
        rounds = 0
        server = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        try:
            while not over.is_set():
                await server.execute(_END_SESSIONS, _VICTIMS)
                rounds += 1
        finally:
            await server.close()
        return rounds

    async with serving(application) as base_url, asyncio.TaskGroup() as group:
        ending = group.create_task(end_sessions())
        async with socket_client(base_url=base_url, headers=caller.headers) as client:
            await asyncio.gather(*(ask(client) for _ in range(8)))
        over.set()

    assert ending.result() > 10
    assert set(answers) <= {200, 201, 503}, answers
    assert answers[503] > 0
    kept = (await session.scalars(select(Task.id).where(Task.project_id == project.id))).all()
    assert {str(task_id) for task_id in kept} >= set(created)
