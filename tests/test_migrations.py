"""Migrations up, down and up again, without drift, each with its purpose, and CHECKs that agree with the enums."""

import asyncio
import re
import time
from collections.abc import Generator
from pathlib import Path

import asyncpg
import orjson
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import CheckConstraint

from app.db.schema_revision import migration_config
from app.models import Base
from tests.fixtures.database import Databases
from tests.support.database.schema_changes import Schema, breaking_changes, read_schema
from tests.support.waiting import eventually

_REVISIONS = list(ScriptDirectory.from_config(migration_config("")).walk_revisions())
_OUTSIDE_OF_TRANSACTIONS = [
    revision
    for revision in reversed(_REVISIONS)
    if re.search("autocommit_block|_concurrently", Path(revision.path).read_text(encoding="utf-8"))
]
_WAITS = """
    SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE datname = current_database() AND NOT granted AND {}
"""
_LITERAL = re.compile(r"'([^']*)'")


@pytest.fixture
def empty_database(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    yield from databases.lend(f"{worker_id}_migrations", migrated=False)


@pytest.fixture
def config(empty_database: str) -> Config:
    return migration_config(empty_database)


@pytest.fixture
def migrated_database(databases: Databases, worker_id: str) -> Generator[str, None, None]:
    """A database that `upgrade` has taken from nothing to the newest revision."""
    yield from databases.lend(f"{worker_id}_migrated")


def fetch(url: str, query: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return await connection.fetch(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def tables(url: str) -> set[str]:
    rows = fetch(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


def test_upgrade_makes_exactly_the_tables_of_the_models(migrated_database: str) -> None:
    assert tables(migrated_database) == {*Base.metadata.tables, "alembic_version"}
    # Raises where models and schema differ.
    command.check(migration_config(migrated_database))


def test_every_step_can_be_taken_back_and_they_leave_nothing(config: Config, empty_database: str) -> None:
    for revision in reversed(_REVISIONS):
        # Takes the step before it again.
        command.upgrade(config, revision.revision)
        command.downgrade(config, "-1")
    command.upgrade(config, "head")
    command.check(config)

    command.downgrade(config, "base")

    assert tables(empty_database) == {"alembic_version"}
    kept = "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'"
    assert fetch(empty_database, kept) == []


def fail_to_build(url: str, name: str, table: str) -> None:
    """Replace an index by what a failed CREATE INDEX CONCURRENTLY leaves behind: an invalid index of its name."""

    async def run() -> None:
        address = url.replace("+asyncpg", "")
        writer, builder = await asyncpg.connect(address), await asyncpg.connect(address)
        try:
            await builder.execute(f"DROP INDEX {name}")
            await builder.execute("SET lock_timeout = 1")
            async with writer.transaction():
                await writer.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
                with pytest.raises(asyncpg.LockNotAvailableError):
                    await builder.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ((0))")
        finally:
            await writer.close()
            await builder.close()

    asyncio.run(run())


def test_upgrade_that_failed_outside_of_a_transaction_can_be_repeated(
    config: Config, empty_database: str
) -> None:
    """Regression: the name of an index was taken by what the failed upgrade had left behind."""

    def indexes() -> set[tuple[str, str]]:
        return {
            (row["indexname"], row["tablename"])
            for row in fetch(empty_database, "SELECT * FROM pg_indexes WHERE schemaname = 'public'")
        }

    for revision in _OUTSIDE_OF_TRANSACTIONS:
        before = str(revision.down_revision)
        command.upgrade(config, before)
        known = indexes()
        command.upgrade(config, revision.revision)
        for name, table in indexes() - known:
            fail_to_build(empty_database, name, table)
        command.stamp(config, before)
        command.upgrade(config, revision.revision)
    assert fetch(empty_database, "SELECT FROM pg_index WHERE NOT indisvalid") == []
    command.upgrade(config, "head")
    command.check(config)


def test_upgrade_that_ended_before_it_renamed_an_index_keeps_it(config: Config, empty_database: str) -> None:
    """Regression: repeated, it first dropped the only index there was, and then built the same one."""
    command.upgrade(config, "0062")
    query = "SELECT 'ix_tasks_repository_owner'::regclass::oid"
    [built] = fetch(empty_database, query)
    fetch(empty_database, "ALTER INDEX ix_tasks_repository_owner RENAME TO ix_tasks_repository_owner_new")
    command.stamp(config, "0061")
    command.upgrade(config, "0062")
    assert fetch(empty_database, query) == [built]


def test_upgrade_keeps_no_table_locked_while_it_waits_for_another(
    config: Config, empty_database: str
) -> None:
    """Regression: a request that locks the same tables in another order, and the upgrade, waited for each other."""

    async def run() -> list[str]:
        address = empty_database.replace("+asyncpg", "")
        reader, watcher = await asyncpg.connect(address), await asyncpg.connect(address)
        of_this = "FROM pg_locks JOIN pg_database d ON d.oid = database WHERE datname = current_database()"
        waits = f"SELECT count(*) {of_this} AND NOT granted AND relation = 'runs'::regclass"
        held = f"SELECT relation::regclass::text {of_this} AND granted AND mode = 'AccessExclusiveLock'"
        try:
            async with reader.transaction():
                await reader.execute("SELECT FROM runs")
                upgrading = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "0051"))
                await eventually(lambda: watcher.fetchval(waits))
                kept = [row[0] for row in await watcher.fetch(held)]
            # It may have given up meanwhile.
            await asyncio.gather(upgrading, return_exceptions=True)
        finally:
            await reader.close()
            await watcher.close()
        return kept

    command.upgrade(config, "0050")
    assert asyncio.run(run()) == []


def test_upgrade_and_a_request_that_lock_two_tables_in_turn_both_succeed(
    config: Config, empty_database: str
) -> None:
    """Regression: the upgrade ended with a deadlock under load, or ended a request."""

    async def run() -> None:
        address = empty_database.replace("+asyncpg", "")
        reader, watcher = await asyncpg.connect(address), await asyncpg.connect(address)
        # To drop the key of a run to its task, the upgrade locks `runs`, and then waits for `tasks`.
        waits = _WAITS.format("relation = 'tasks'::regclass")
        try:
            async with reader.transaction():
                await reader.execute("SELECT FROM tasks")
                upgrading = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "0059"))
                await eventually(lambda: watcher.fetchval(waits))
                await reader.execute("SELECT FROM runs")
            await upgrading
        finally:
            await reader.close()
            await watcher.close()

    command.upgrade(config, "0058")
    asyncio.run(run())
    [row] = fetch(empty_database, "SELECT version_num FROM alembic_version")
    assert row["version_num"] == "0059"


_RUN_OF_EARLIER_CODE = """
    WITH organization AS (
        INSERT INTO organizations (id, name, created_at) VALUES (gen_random_uuid(), 'O', now()) RETURNING id
    ), project AS (
        INSERT INTO projects (uuid, organization_id, name, api_token, created_at)
        SELECT gen_random_uuid(), id, 'P', 't', now() FROM organization RETURNING id
    ), task AS (
        INSERT INTO tasks (id, project_id, title, title_manually_set, description, origin_product, internal,
                           archived, created_at, updated_at)
        SELECT gen_random_uuid(), id, '', false, '', 'user_created', false, false, now(), now() FROM project
        RETURNING id, project_id
    )
    INSERT INTO runs (id, task_id, project_id, status, environment, state, created_at, updated_at)
    SELECT gen_random_uuid(), id, project_id, 'in_progress', 'cloud',
           '{"mode": "background", "recovery": 1}', now(), now() FROM task
"""


def test_facts_of_earlier_runs_move_to_their_column(config: Config, empty_database: str) -> None:
    def stored() -> tuple[dict[str, object], dict[str, object]]:
        [row] = fetch(empty_database, "SELECT state, facts FROM runs")
        return orjson.loads(row["state"]), orjson.loads(row["facts"])

    command.upgrade(config, "0013")
    fetch(empty_database, _RUN_OF_EARLIER_CODE)
    command.upgrade(config, "head")
    assert stored() == ({"mode": "background"}, {"recovery": 1})
    command.downgrade(config, "0032")
    assert stored() == ({"mode": "background", "recovery": 1}, {"recovery": 1})
    command.downgrade(config, "0013")
    [row] = fetch(empty_database, "SELECT state FROM runs")
    assert orjson.loads(row["state"]) == {"mode": "background", "recovery": 1}


_NOTICES_OF_QUESTIONS = """
    WITH person AS (
        INSERT INTO users (uuid, distinct_id, email, date_joined)
        VALUES (gen_random_uuid(), 'd', 'a@b.example', now()) RETURNING id
    ), question AS (
        INSERT INTO questions (id, project_id, task_id, run_id, request_id, kind, status, title, detail, urgency, risk,
                               digest, opened_at, closed_at)
        SELECT gen_random_uuid(), project_id, task_id, id, value, 'permission', value, '', '', 'normal', 'normal', '',
               now(), CASE value WHEN 'open' THEN NULL ELSE now() END
        FROM runs, unnest(ARRAY['open', 'answered']) value RETURNING id, run_id, task_id, status
    )
    INSERT INTO notifications (id, user_id, task_id, run_id, question_id, kind, body, decision, created_at, sent_at,
                               settled_at, device_id, platform, follow_up_at)
    SELECT gen_random_uuid(), person.id, task_id, run_id, question.id, 'awaiting', status, 'sent', now(), now(), now(),
           gen_random_uuid(), 'ios', now() + interval '1 minute'
    FROM question, person
"""


def test_reminders_and_retractions_that_are_asked_for_become_rows(
    config: Config, empty_database: str
) -> None:
    command.upgrade(config, "0013")
    fetch(empty_database, _RUN_OF_EARLIER_CODE)
    command.upgrade(config, "0034")
    fetch(empty_database, _NOTICES_OF_QUESTIONS)
    command.upgrade(config, "head")
    rows = fetch(
        empty_database,
        "SELECT r.purpose, r.decision, n.body, n.follow_up_at FROM notifications r "
        "JOIN notifications n ON n.id = r.replaces WHERE r.due_at > now()",
    )
    assert {tuple(row) for row in rows} == {
        ("reminder", "pending", "open", None),
        ("retraction", "pending", "answered", None),
    }
    command.downgrade(config, "0034")
    rows = fetch(empty_database, "SELECT FROM notifications WHERE follow_up_at > now()")
    assert len(rows) == 2


def test_upgrade_says_that_it_waits_for_another_and_does_not_wait_for_ever(
    config: Config, empty_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Regression: it waited in silence, without an end."""

    async def run() -> None:
        other = await asyncpg.connect(empty_database.replace("+asyncpg", ""))
        try:
            await other.execute(f"SELECT pg_advisory_lock({0x7A5C_BEAC})")
            upgrading = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "head"))
            # The end of the other one, so that this test has one too.
            await asyncio.wait([upgrading], timeout=10)
        finally:
            await other.close()
        with pytest.raises(CommandError, match="another migration"):
            await upgrading

    config.attributes["patience_seconds"] = 0.3
    asyncio.run(run())
    assert capsys.readouterr().err.count("Waiting for another migration") == 1
    assert tables(empty_database) == set()


_PLANTED = """{explanation}
from alembic import op
from migrations.indexes import create_index_concurrently

revision = {name!r}
down_revision = {before!r}
branch_labels = depends_on = None


def upgrade() -> None:
    {statement}
"""


def plant(url: str, folder: Path, *statements: str, docstring: str = "") -> Config:
    """Return the configuration of a migrated database with more revisions, `planted1` and so on, that do this."""
    before = _REVISIONS[0].revision
    for number, statement in enumerate(statements, 1):
        name, explanation = f"planted{number}", f'"""Planted.\n\n{docstring}\n"""'
        text = _PLANTED.format(explanation=explanation, name=name, before=before, statement=statement)
        (folder / f"{name}.py").write_text(text)
        before = name
    config = migration_config(url)
    versions = Path(str(config.get_main_option("script_location"))) / "versions"
    config.set_main_option("version_locations", f"{versions}:{folder}")
    return config


def test_index_is_built_however_long_it_waits_for_others(migrated_database: str, tmp_path: Path) -> None:
    """Regression: the limit of a statement ended it at the same place each time, and left an invalid index."""
    build = 'create_index_concurrently("ix_t", "tasks", ["title"])'
    limit = 'assert op.get_bind().exec_driver_sql("SHOW statement_timeout").scalar() == "100ms"'
    config = plant(migrated_database, tmp_path, build, limit)

    async def run() -> None:
        address = migrated_database.replace("+asyncpg", "")
        writer, watcher = await asyncpg.connect(address), await asyncpg.connect(address)
        age = (
            "SELECT now() - query_start > '200ms' FROM pg_stat_activity WHERE query ~ '^CREATE INDEX CONCURR'"
        )
        try:
            async with writer.transaction():
                await writer.execute("LOCK TABLE tasks IN ROW EXCLUSIVE MODE")
                upgrading = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "head"))

                async def is_late() -> bool:
                    return upgrading.done() or await watcher.fetchval(age)

                await eventually(is_late)
            await upgrading
        finally:
            await writer.close()
            await watcher.close()

    config.attributes["limits"] = {"statement_timeout": "100ms"}
    asyncio.run(run())
    assert fetch(migrated_database, "SELECT FROM pg_index WHERE NOT indisvalid") == []


def test_upgrade_has_its_patience_anew_after_each_revision(migrated_database: str, tmp_path: Path) -> None:
    """Regression: after a long revision the first lock that the next one did not get ended the upgrade."""
    long = 'op.execute("SET LOCAL lock_timeout = 0"); op.execute("SELECT pg_advisory_xact_lock(1)")'
    config = plant(migrated_database, tmp_path, long, 'op.execute("LOCK TABLE tasks")')
    late = asyncio.Event()
    config.attributes["clock"] = lambda: time.monotonic() + 3600 * late.is_set()

    async def run() -> None:
        address = migrated_database.replace("+asyncpg", "")
        other, watcher = await asyncpg.connect(address), await asyncpg.connect(address)
        is_long, is_waiting = _WAITS.format("objid = 1"), _WAITS.format("relation = 'tasks'::regclass")
        try:
            async with other.transaction():
                await other.execute("LOCK TABLE tasks IN ROW EXCLUSIVE MODE")
                await other.execute("SELECT pg_advisory_lock(1)")
                upgrading = asyncio.create_task(asyncio.to_thread(command.upgrade, config, "head"))
                await eventually(lambda: watcher.fetchval(is_long))
                late.set()
                await other.execute("SELECT pg_advisory_unlock(1)")
                await eventually(lambda: watcher.fetchval(is_waiting))

                async def has_given_up() -> bool:
                    return not await watcher.fetchval(is_waiting)

                await eventually(has_given_up)
            await upgrading
        finally:
            await other.close()
            await watcher.close()

    asyncio.run(run())
    assert fetch(migrated_database, "SELECT version_num FROM alembic_version")[0][0] == "planted2"


def test_second_upgrade_keeps_revision_and_schema(migrated_database: str) -> None:
    # xmin: the transaction that wrote a row.
    queries = (
        "SELECT xmin::text, version_num FROM alembic_version",
        "SELECT attrelid, attname, xmin::text FROM pg_attribute WHERE attnum > 0 ORDER BY 1, attnum",
    )
    before = [fetch(migrated_database, query) for query in queries]

    command.upgrade(migration_config(migrated_database), "head")

    assert [fetch(migrated_database, query) for query in queries] == before
    assert before[0][0]["version_num"] == _REVISIONS[0].revision


def test_checks_hold_the_values_of_the_models(database_url: str) -> None:
    """Autogenerate does not compare CHECKs: a new member of an enum needs its migration."""
    query = """
        SELECT conname, pg_get_constraintdef(oid) AS rule FROM pg_constraint
        WHERE contype = 'c' AND connamespace = 'public'::regnamespace
    """
    stored = {row["conname"]: set(_LITERAL.findall(row["rule"])) for row in fetch(database_url, query)}
    declared = {
        str(constraint.name): set(_LITERAL.findall(str(constraint.sqltext)))
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert {"ck_runs_status", "ck_tasks_origin_product"} <= set(declared)
    assert stored == declared


def test_revisions_state_purpose_locks_and_compatibility() -> None:
    for revision in _REVISIONS:
        text = " ".join((revision.module.__doc__ or "").split())
        for heading in ("Purpose:", "Locks:", "Previous release:"):
            assert re.search(re.escape(heading) + r" \w{3,}", text), (
                f"{revision.revision}: {heading} says nothing"
            )


def test_there_is_one_head() -> None:
    assert len([revision for revision in _REVISIONS if revision.is_head]) == 1


# The revision of the first release: those up to it had no release before them (migrations/README.md).
FIRST_RELEASE = "0036"


def breaking(config: Config, url: str, *, after: str) -> dict[str, list[str]]:
    """Return the changes of each later revision that may break the release before it and that it does not explain."""
    command.upgrade(config, after)
    scripts = ScriptDirectory.from_config(config)
    found: dict[str, list[str]] = {}
    before = asyncio.run(look(url))
    for script in reversed(list(scripts.iterate_revisions("heads", after))):
        command.upgrade(config, script.revision)
        now = asyncio.run(look(url))
        changes = list(breaking_changes(before, now))
        if changes and not re.search(
            r"^(Contract|New values): \w{3,}", script.module.__doc__ or "", re.MULTILINE
        ):
            found[script.revision] = changes
        before = now
    return found


async def look(url: str) -> Schema:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await read_schema(connection)
    finally:
        await connection.close()


def test_no_revision_breaks_the_release_before_it(config: Config, empty_database: str) -> None:
    assert breaking(config, empty_database, after=FIRST_RELEASE) == {}


@pytest.mark.parametrize(
    ("docstring", "found"),
    [
        ("Previous release: reads it.", ["tasks.title_manually_set is gone"]),
        ("Contract: nothing has read it since 0.2.0.", None),
    ],
)
def test_planted_revision_is_found_unless_it_ends_what_no_release_uses(
    migrated_database: str, tmp_path: Path, docstring: str, found: list[str] | None
) -> None:
    statement = 'op.drop_column("tasks", "title_manually_set")'
    config = plant(migrated_database, tmp_path, statement, docstring=docstring)
    breaks = breaking(config, migrated_database, after=_REVISIONS[0].revision)
    assert breaks == ({"planted1": found} if found else {})


_HARMFUL = (
    ("DROP TABLE presence", "presence is gone"),
    ("ALTER TABLE presence RENAME TO watchers", "presence is gone"),
    ("ALTER TABLE tasks RENAME internal TO hidden", "tasks.internal is gone"),
    ("ALTER TABLE tasks ADD colour text NOT NULL", "tasks.colour is required, without a default"),
    ("ALTER TABLE runs ALTER branch SET NOT NULL", "runs.branch is required, without a default"),
    ("ALTER TABLE runs ALTER facts DROP DEFAULT", "runs.facts has no default any more"),
    (
        "ALTER TABLE runs ALTER branch TYPE varchar(9)",
        "runs.branch was character varying(255) and is character varying(9)",
    ),
    (
        "ALTER TABLE tasks ADD CONSTRAINT ck_t CHECK (title <> 'x') NOT VALID",
        "ck_t is new, or refuses more: ",
    ),
    (
        "ALTER TABLE runs DROP CONSTRAINT ck_runs_status, ADD CONSTRAINT ck_runs_status CHECK (status IN ('queued'))",
        "ck_runs_status is new, or refuses more: ",
    ),
    ("CREATE UNIQUE INDEX uq_t ON tasks (project_id, title)", "uq_t is new, or refuses more: "),
    ("CREATE UNIQUE INDEX uq_t ON tasks (lower(title))", "uq_t is new, or refuses more: "),
    (
        "ALTER TABLE runs DROP CONSTRAINT ck_runs_environment, ADD CONSTRAINT ck_runs_environment CHECK (environment IN ('local', 'cloud', 'moon'))",
        "ck_runs_environment has new values: moon",
    ),
    (
        "ALTER TABLE runs ADD CONSTRAINT fk_r FOREIGN KEY (branch) REFERENCES alembic_version",
        "fk_r is new, or refuses more: ",
    ),
)
_HARMLESS = (
    "CREATE TABLE colours (id int PRIMARY KEY, name text NOT NULL UNIQUE CHECK (name <> ''))",
    "ALTER TABLE tasks ADD colour text, ADD CONSTRAINT ck_t CHECK (colour <> 'x')",
    "ALTER TABLE tasks ADD colour text NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD number bigint GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE tasks ALTER title DROP NOT NULL",
    "CREATE INDEX ix_t ON tasks (title)",
    "DROP INDEX ix_runs_stage; ALTER TABLE runs DROP CONSTRAINT ck_runs_status",
)


async def test_changes_that_may_break_the_release_before_are_told_from_others(database_url: str) -> None:
    async def changes(statement: str) -> list[str]:
        transaction = connection.transaction()
        await transaction.start()
        before = await read_schema(connection)
        await connection.execute(statement)
        found = list(breaking_changes(before, await read_schema(connection)))
        await transaction.rollback()
        return found

    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        for statement, expected in _HARMFUL:
            assert any(found.startswith(expected) for found in await changes(statement)), statement
        for statement in _HARMLESS:
            assert await changes(statement) == [], statement
    finally:
        await connection.close()
