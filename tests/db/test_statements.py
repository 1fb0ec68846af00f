"""Statements that are compiled once: alone without a transaction, or within the one that a session has begun."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from enum import EnumType
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import asyncpg
import pytest
from sqlalchemy import (
    JSON,
    Integer,
    TypeDecorator,
    bindparam,
    case,
    column,
    func,
    literal_column,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.types import NullType

from app.config import Settings
from app.db import (
    SessionFactory,
    after_commit,
    create_engine,
    create_session_factory,
    release,
    undivided,
    unit_of_work,
)
from app.db.statements import Prepared
from app.errors import NotFound
from app.models import Project, User
from app.outages import DatabaseUnavailable
from tests.support.database.faults import Planted, rolled_back
from tests.support.database.queries import recorded
from tests.support.database.statements import prepared_statements
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_project, make_user
from tests.support.waiting import eventually, next_round

BY_ID = Prepared(select(Project.id, Project.name).where(Project.id == bindparam("id")))
# What became of the plans of the statement above in this session.
PLANNED = Prepared(
    select(case((column("generic_plans") > 0, "for any values"), else_="for these values").label("plans"))
    .select_from(table("pg_prepared_statements"))
    .where(column("statement").like("SELECT projects.id%"))
)
_RENAME = (
    update(Project)
    .where(Project.id == bindparam("project_id"))
    .values(name=bindparam("new_name"))
    .returning(Project.name)
)
DIVIDING = Prepared(select(1 / bindparam("by", value=0)))
RENAME = Prepared(_RENAME)
RENAME_ALONE = Prepared(_RENAME, alone=True)


async def rename(session: AsyncSession, project_id: int, name: str) -> None:
    await RENAME.all(session, {"project_id": project_id, "new_name": name})


async def name_of(sessions: SessionFactory, project_id: int) -> str:
    async with unit_of_work(sessions) as session:
        _, name = await BY_ID.one(session, {"id": project_id})
    return name


@pytest.fixture
async def project_id(sessions: SessionFactory) -> int:
    async with unit_of_work(sessions) as session:
        return (await make_project(session, name="Before")).id


async def test_statement_alone_is_one_round_trip(
    sessions: SessionFactory, engine: AsyncEngine, project_id: int
) -> None:
    async with unit_of_work(sessions) as session:
        async with recorded(engine) as statements:
            row = await BY_ID.first(session, {"id": project_id})
        assert not session.in_transaction()
    # The driver reports a statement a moment later, so this one goes before the look at it.
    assert await name_of(sessions, project_id) == "Before"
    assert row is not None
    assert row == (project_id, "Before")
    assert len(statements) == 1


@pytest.mark.parametrize(
    "values", [{}, {"idd": 1}, {"id": 1, "idd": 1}], ids=["missing", "misspelt", "unknown"]
)
async def test_value_without_its_parameter_is_refused(
    sessions: SessionFactory, values: dict[str, int]
) -> None:
    """Regression: a parameter whose name was misspelt became NULL, and the statement found nothing."""
    async with unit_of_work(sessions) as session:
        with pytest.raises(TypeError, match=r"missing or unknown: \['idd?'"):
            await BY_ID.first(session, values)


@pytest.mark.parametrize(
    "lock", [{}, {"key_share": True}, {"read": True}], ids=["update", "no key update", "share"]
)
async def test_rows_stay_locked_until_the_unit_of_work_ends(
    sessions: SessionFactory, project_id: int, lock: dict[str, Any]
) -> None:
    """Alone, the statement gave the locks of its rows up at once: two transactions then waited for each other."""
    holding = Prepared(select(Project.id).where(Project.id == bindparam("id")).with_for_update(**lock))
    free = select(Project.id).where(Project.id == project_id).with_for_update(skip_locked=True)
    async with unit_of_work(sessions) as session:
        assert await holding.first(session, {"id": project_id}) is not None
        async with unit_of_work(sessions) as other:
            assert (await other.scalars(free)).all() == []
    async with unit_of_work(sessions) as other:
        assert (await other.scalars(free)).all() == [project_id]


async def test_write_is_taken_back_by_what_fails_after_it(sessions: SessionFactory, project_id: int) -> None:
    """Nothing stood before it in its session."""

    async def fail() -> None:
        async with unit_of_work(sessions) as session:
            row = await RENAME.first(session, {"project_id": project_id, "new_name": "After"})
            assert row is not None
            raise NotFound

    with pytest.raises(NotFound):
        await fail()
    assert await name_of(sessions, project_id) == "Before"


async def test_write_by_a_part_of_a_select_is_one_too(sessions: SessionFactory, project_id: int) -> None:
    part = update(Project).values(name="After").where(Project.id == project_id).returning(Project.id)
    statement = Prepared(select(part.cte("renamed").c.id))
    async with unit_of_work(sessions) as session:
        assert await statement.first(session, {}) is not None
        assert await name_of(sessions, project_id) == "Before"
    assert await name_of(sessions, project_id) == "After"


async def test_text_may_be_a_write(sessions: SessionFactory, project_id: int) -> None:
    statement = Prepared(text("UPDATE projects SET name = 'After'"))
    async with rolled_back(sessions) as session:
        await statement.perform(session)
    assert await name_of(sessions, project_id) == "Before"


async def test_write_alone_is_committed_at_once(sessions: SessionFactory, project_id: int) -> None:
    async with unit_of_work(sessions) as session:
        row = await RENAME_ALONE.first(session, {"project_id": project_id, "new_name": "After"})
        assert row is not None
        assert await name_of(sessions, project_id) == "After"


@pytest.mark.parametrize("write", [RENAME.all, RENAME_ALONE.all])
async def test_write_behind_another_statement_goes_with_its_transaction(
    sessions: SessionFactory, project_id: int, write: Callable[..., Awaitable[Any]]
) -> None:
    with suppress(Planted):
        async with unit_of_work(sessions) as session:
            assert await session.get(Project, project_id) is not None
            await write(session, {"project_id": project_id, "new_name": "After"})
            assert await name_of(sessions, project_id) == "Before"
            raise Planted
    assert await name_of(sessions, project_id) == "Before"


@pytest.mark.parametrize("fails", [False, True])
async def test_session_joins_the_transaction_of_a_prepared_write(
    sessions: SessionFactory, project_id: int, *, fails: bool
) -> None:
    """The session sees what was written, and all of it is kept or none."""
    with suppress(NotFound):
        async with unit_of_work(sessions) as session:
            await rename(session, project_id, "After")
            project = await session.get_one(Project, project_id)
            assert project.name == "After"
            project.name = "Flushed"
            await session.flush()
            with suppress(Planted):
                async with session.begin_nested():
                    await rename(session, project_id, "Nested")
                    raise Planted
            assert await name_of(sessions, project_id) == "Before"
            if fails:
                raise NotFound
    assert await name_of(sessions, project_id) == ("Before" if fails else "Flushed")


async def test_transaction_that_was_released_is_followed_by_another(
    sessions: SessionFactory, project_id: int
) -> None:
    with suppress(NotFound):
        async with unit_of_work(sessions) as session:
            await rename(session, project_id, "Released")
            assert (await session.get_one(Project, project_id)).name == "Released"
            await release(session)
            await rename(session, project_id, "After")
            raise NotFound
    assert await name_of(sessions, project_id) == "Released"


async def test_undivided_transaction_is_not_released(sessions: SessionFactory, project_id: int) -> None:
    async with unit_of_work(sessions) as session:
        with undivided(session):
            await rename(session, project_id, "Released")
            with pytest.raises(RuntimeError):
                await release(session)
        assert await name_of(sessions, project_id) == "Before"
        await release(session)
        assert await name_of(sessions, project_id) == "Released"


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("joined", [False, True])
async def test_session_that_ends_leaves_no_trace(
    sessions: SessionFactory, project_id: int, *, joined: bool, writes: bool
) -> None:
    """The connection of such a session is not given to others."""
    end = select(func.pg_terminate_backend(func.pg_backend_pid()))

    async def fail() -> None:
        async with unit_of_work(sessions) as session:
            if writes:
                await rename(session, project_id, "After")
            await (session.execute(end) if joined else Prepared(end).all(session, {}))

    with pytest.raises(DatabaseUnavailable):
        await fail()
    for _ in range(20):
        assert await name_of(sessions, project_id) == "Before"


async def test_cancelled_write_is_taken_back(sessions: SessionFactory, project_id: int) -> None:
    slow = Prepared(select(func.pg_sleep(3600)))
    written = asyncio.Event()

    async def write() -> None:
        async with unit_of_work(sessions) as session:
            await rename(session, project_id, "After")
            written.set()
            await slow.all(session, {})

    writing = asyncio.create_task(write())
    await written.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    # The row is not locked.
    async with unit_of_work(sessions) as session:
        assert await RENAME.first(session, {"project_id": project_id, "new_name": "Again"}) is not None


@pytest.mark.parametrize("name", ["Short", pytest.param("L" * 20_000_000, id="long")])
async def test_write_that_is_cancelled_at_any_moment_leaves_nothing_behind(
    settings: Settings, sessions: SessionFactory, project_id: int, name: str
) -> None:
    """No lock and no statement in flight: its connection serves the next one, which gets its own answer."""
    engine = create_engine(
        settings.model_copy(update={"database_pool_size": 1}), application_name="taskbeacon-tests"
    )
    own = create_session_factory(engine)

    async def write(number: int) -> None:
        # One that the connection has not prepared yet.
        fresh = Prepared(
            update(Project)
            .where(Project.id == project_id)
            .values(name=bindparam("new_name"))
            .returning(literal_column(str(number), Integer))
        )
        async with unit_of_work(own) as session:
            await fresh.all(session, {"new_name": name})
            raise NotFound

    try:
        for rounds in range(60):
            writing = asyncio.create_task(write(rounds))
            for _ in range(rounds):
                await next_round()
            writing.cancel()
            await asyncio.wait([writing])
            async with unit_of_work(own) as session:
                assert await session.scalar(select(literal_column(str(rounds)))) == rounds
            async with asyncio.timeout(120), unit_of_work(sessions) as session:
                await rename(session, project_id, "Again")
    finally:
        await engine.dispose()


async def test_lone_statement_that_is_given_up_does_not_go_on(
    settings: Settings, sessions: SessionFactory, session: AsyncSession
) -> None:
    """The server performed it to its end, after its connection was closed."""
    engine = create_engine(settings, application_name="taskbeacon-tests", statement_seconds=1)
    own = create_session_factory(engine)
    slow = Prepared(select(literal_column("'is given up'"), func.pg_sleep(3600)))
    performed = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%is given up%'"
    )

    async def ask(patient: SessionFactory) -> None:
        async with unit_of_work(patient) as asking:
            await slow.all(asking, {})

    async def is_performed() -> bool:
        return bool(await session.scalar(performed))

    async def is_given_up() -> bool:
        return not await is_performed()

    try:
        with pytest.raises(DatabaseUnavailable):
            await ask(own)
        await eventually(is_given_up)

        asking = asyncio.create_task(ask(sessions))
        await eventually(is_performed)
        asking.cancel()
        await asyncio.wait([asking])
        await eventually(is_given_up)
    finally:
        await engine.dispose()


async def is_answered(sessions: SessionFactory) -> bool:
    """Return whether a connection is there and answers, which may take a busy server longer than a short time limit."""
    try:
        async with unit_of_work(sessions) as session:
            return bool(await session.scalar(select(1)) == 1)
    except DatabaseUnavailable:
        return False


async def test_write_that_is_not_answered_in_time_leaves_nothing_behind(
    settings: Settings, sessions: SessionFactory, project_id: int
) -> None:
    """Regression: its connection was closed, and the server went on with the statement and held its locks."""
    engine = create_engine(
        settings.model_copy(update={"database_pool_size": 1}),
        application_name="taskbeacon-tests",
        statement_seconds=1,
    )
    own = create_session_factory(engine)
    slow = Prepared(select(func.pg_sleep(3600)))

    async def write() -> None:
        async with unit_of_work(own) as session:
            await rename(session, project_id, "After")
            await slow.all(session, {})

    try:
        with pytest.raises(DatabaseUnavailable):
            await write()
        await eventually(partial(is_answered, own))
        async with asyncio.timeout(120), unit_of_work(sessions) as session:
            await rename(session, project_id, "Again")
    finally:
        await engine.dispose()


async def test_read_that_is_cancelled_at_any_moment_leaves_no_lock(
    sessions: SessionFactory, session: AsyncSession
) -> None:
    """Between two messages of the driver, the server waited for the next with its locks held."""

    async def read(number: int) -> None:
        async with unit_of_work(sessions) as own:
            # One that the connection has not prepared yet.
            await Prepared(select(Project.id, literal_column(str(number)))).all(own, {})

    for rounds in range(0, 240, 2):
        reading = asyncio.create_task(read(rounds))
        for _ in range(rounds):
            await next_round()
        reading.cancel()
        await asyncio.wait([reading])

    held = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    )

    async def is_none_held() -> bool:
        return not await session.scalar(held)

    await eventually(is_none_held)


def test_writes_that_may_stand_alone_are_these() -> None:
    """Each holds every condition of its write, and nothing behind it would have to take it back (ADR 71)."""
    assert {name for name, statement in prepared_statements() if statement.alone} == {
        "app.services.access.authentication._NOTE_USE",
        "app.services.access.authentication._NOTE_USE_OF_SESSION",
        "app.services.notifications.presence._BEAT",
        "app.services.notifications.presence._REPORT",
    }


def test_rows_have_the_types_of_their_columns() -> None:
    """Of many columns, only the names of fields say which is which."""
    for name, statement in prepared_statements():
        _ = statement._sent  # compares the names
        columns = getattr(statement.statement, "exported_columns", ())
        assert statement.row or len(columns) <= 4, name
        for types, field in zip(leaves(statement.row), columns, strict=False):
            type_ = field.type.impl_instance if isinstance(field.type, TypeDecorator) else field.type
            assert isinstance(type_, JSON | NullType) or types & {Any, type_.python_type}, f"{name}: {field}"


def leaves(row: Any) -> Iterator[set[Any]]:
    """Yield what each column of a row may be; a vocabulary is text."""
    for annotation in get_type_hints(row).values() if row else ():
        kinds = {get_origin(kind) or kind for kind in (annotation, *get_args(annotation))}
        part = next((kind for kind in kinds if hasattr(kind, "_fields")), None)
        if part:
            yield from leaves(part)
        else:
            yield kinds | {str for kind in kinds if isinstance(kind, EnumType)}


async def test_what_a_session_wrote_is_seen_by_its_next_statement(
    sessions: SessionFactory, project_id: int
) -> None:
    async with unit_of_work(sessions) as session:
        project = await session.get_one(Project, project_id)
        project.name = "Flushed"
        await session.flush()
        assert await BY_ID.one(session, {"id": project_id}) == (project_id, "Flushed")


async def test_refusal_by_a_constraint_is_an_integrity_error(sessions: SessionFactory) -> None:
    impossible = Prepared(
        update(User).where(User.id == bindparam("id")).values(email=bindparam("email")).returning(User.id)
    )
    async with unit_of_work(sessions) as session:
        user, other = await make_user(session), await make_user(session)
    with pytest.raises(IntegrityError):
        async with unit_of_work(sessions) as session:
            await impossible.all(session, {"id": user.id, "email": other.email})


async def test_commit_of_a_transaction_that_has_failed_is_an_error(
    sessions: SessionFactory, project_id: int
) -> None:
    """PostgreSQL rolls it back, and reports that without an error."""
    effects: list[str] = []

    async def take_effect() -> None:
        effects.append("sent")

    async def commit() -> None:
        async with unit_of_work(sessions) as session:
            await rename(session, project_id, "After")
            after_commit(session, take_effect)
            with suppress(asyncpg.DivisionByZeroError):
                await DIVIDING.all(session, {})

    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await commit()
    assert (await name_of(sessions, project_id), effects) == ("Before", [])


async def test_failure_of_a_statement_is_not_a_failure_of_the_server(
    sessions: SessionFactory,
) -> None:
    async with unit_of_work(sessions) as session:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await DIVIDING.all(session, {})


async def test_server_that_is_away_is_unavailable(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"database_url": f"postgresql+asyncpg://u:p@127.0.0.1:{closed_port()}/x"}
    )
    engine = create_engine(nowhere, application_name="taskbeacon-tests")
    async with unit_of_work(create_session_factory(engine)) as session:
        with pytest.raises(DatabaseUnavailable):
            await BY_ID.first(session, {"id": 1})
    await engine.dispose()


async def test_server_that_does_not_answer_in_time_is_away(settings: Settings) -> None:
    """The driver says `TimeoutError`, which a worker that waits for its database would take for a fault of its own."""
    engine = create_engine(settings, application_name="taskbeacon-tests", statement_seconds=0.2)
    sessions = create_session_factory(engine)
    with pytest.raises(DatabaseUnavailable):
        async with unit_of_work(sessions) as session:
            await session.execute(select(func.pg_sleep(60)))
    await eventually(partial(is_answered, sessions))
    await engine.dispose()


@pytest.mark.parametrize(("plan_once", "plans"), [(True, "for any values"), (False, "for these values")])
async def test_process_that_plans_once_plans_for_any_values(
    settings: Settings, *, plan_once: bool, plans: str
) -> None:
    """A statement that was never performed before: by itself the server would plan it for its values."""
    engine = create_engine(settings, application_name="taskbeacon-tests", plan_once=plan_once)
    try:
        async with unit_of_work(create_session_factory(engine)) as session:
            await BY_ID.all(session, {"id": 1})
        async with unit_of_work(create_session_factory(engine)) as session:
            row = await PLANNED.one(session)
    finally:
        await engine.dispose()
    assert row == (plans,)
