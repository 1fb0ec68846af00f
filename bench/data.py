"""Projects with a given number of tasks, made in the database: rows by `generate_series`, indexes last.

One task in three holds a common word and one in ten thousand a rare one; a fifth are the caller's own, the rest is
shared or of others. Every second has a run, of more than 200,000 tasks evenly 100,000.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from app.db import SessionFactory, unit_of_work
from app.services.accounts import administration, api_keys
from app.services.tasks.count_folding import FOLDED_AT_ONCE, TASK_COUNTS, fold_counts

COMMON_WORD: Final = "walrus"
RARE_WORD: Final = "xylophone"

_USERS: Final = 50
_MOST_RUNS: Final = 100_000
_OTHERS: Final = f"""
INSERT INTO users (uuid, distinct_id, email, date_joined)
SELECT gen_random_uuid(), 'other' || i, 'other' || i || '@example.com', now() FROM generate_series(1, {_USERS}) i
"""
# Dropped while the rows are made, and then made again: each would be looked at for every row on its own.
_INDEXES: Final = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'tasks' AND starts_with(indexname, 'ix_')"
)
_KEYS: Final = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'tasks'::regclass AND contype = 'f'
"""
_COUNTED: Final = """
INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes, folded)
SELECT project_id, audience, archived, internal, count(*), 1, true FROM tasks WHERE NOT deleted GROUP BY 1, 2, 3, 4;
ALTER TABLE tasks ENABLE TRIGGER tasks_come_and_go
"""
# Ids grow, as the service's own do.
_TASKS: Final = f"""
INSERT INTO tasks (
    id, project_id, task_number, created_by_id, title, title_manually_set, description, origin_product, repository,
    internal, archived, archived_at, created_at, updated_at, last_activity_at, latest_run_id, latest_run_status,
    deleted
)
SELECT
    lpad(to_hex(($1::bigint << 32) + i), 32, '0')::uuid, $1::bigint, i,
    CASE WHEN i % 5 = 0 THEN $2::bigint ELSE (SELECT min(id) FROM users WHERE starts_with(distinct_id, 'other'))
        + i % {_USERS} END,
    'Task ' || i || CASE WHEN i % 3 = 0 THEN ' about a {COMMON_WORD}' ELSE ' about a ship' END
        || CASE WHEN i % 10000 = 0 THEN ' and a {RARE_WORD}' ELSE '' END,
    true,
    repeat('What the agent is asked to do, in a few plain sentences. ', 6) || left(md5(i::text), 8),
    CASE WHEN i % 5 < 3 THEN 'user_created'
        ELSE (ARRAY['onboarding', 'slack', 'hogdesk', 'signal_report', 'automation'])[1 + i % 7 % 5] END,
    CASE WHEN i % 10 < 5 THEN 'main/product' WHEN i % 10 < 8 THEN 'org' || i % 40 || '/repo' || i % 400 END,
    i % 50 = 7, i % 20 = 3, CASE WHEN i % 20 = 3 THEN now() END,
    now() - ($3::int - i) * interval '1 second', now() - ($3::int - i) * interval '1 second',
    now() - i * interval '1 second',
    CASE WHEN i % $4::int = 0 THEN lpad(to_hex(($1::bigint << 32) + i), 32, '0')::uuid END,
    CASE WHEN i % $4::int = 0 THEN
        (ARRAY['completed', 'completed', 'completed', 'failed', 'cancelled', 'queued', 'in_progress'])[1 + i % 7]
    END,
    false
FROM generate_series(1, $3::int) i
"""
_RUNS: Final = """
INSERT INTO runs (id, task_id, project_id, status, environment, stage, state, created_at, updated_at, completed_at)
SELECT
    latest_run_id, id, project_id, latest_run_status, 'cloud', CASE WHEN task_number / $2::int % 50 = 0 THEN 'build' END,
    '{"mode": "background", "model": "claude-opus-4-6", "runtime_adapter": "claude", "provider": "anthropic"}',
    created_at, updated_at, CASE WHEN latest_run_status IN ('completed', 'failed', 'cancelled') THEN updated_at END
FROM tasks WHERE latest_run_id IS NOT NULL AND project_id = $1
"""
_NUMBERED: Final = """
INSERT INTO task_counters (project_id, next_number) VALUES ($1, $2)
ON CONFLICT (project_id) DO UPDATE SET next_number = excluded.next_number
"""
_DEVICE: Final = """
INSERT INTO push_tokens (id, user_id, token, token_hash, platform, created_at, last_seen_at)
VALUES (gen_random_uuid(), $1, 'bench', sha256('bench'), 'ios', now(), now()) RETURNING id
"""
_NEWEST: Final = """
SELECT id FROM tasks WHERE project_id = $1 AND created_by_id = $2 AND latest_run_id IS NOT NULL AND NOT archived
    AND NOT internal ORDER BY created_at DESC LIMIT 50
"""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that sends the measured requests: the only member of a project, with an API key of all scopes."""

    user_id: int
    project_id: int
    authorization: str


@dataclass(frozen=True, slots=True)
class ProjectOfSize:
    """A project, the number of its tasks, the newest ones that the caller may change, and the caller's device."""

    id: int
    size: int
    task_ids: tuple[UUID, ...]
    device_id: UUID


async def make_account(sessions: SessionFactory) -> Account:
    """Make the user that sends the measured requests."""
    async with unit_of_work(sessions) as session:
        project = await administration.create_project(session, "Bench")
        user = await administration.create_user(session, "bench@example.com", project_ids=[project.id])
        key = await api_keys.create_api_key(session, user_id=user.id, scopes=["*"])
    return Account(user.id, project.id, f"Bearer {key.value}")


async def fill(
    sessions: SessionFactory, connection: asyncpg.Connection, account: Account, sizes: list[int]
) -> list[ProjectOfSize]:
    """Make one project with each number of tasks, of other users too; have the database collect statistics."""
    await connection.execute(_OTHERS)
    device_id = await connection.fetchval(_DEVICE, account.user_id)
    ids = [await _make_project(sessions, account, size) for size in sizes]
    indexes, keys = [await connection.fetch(statement) for statement in (_INDEXES, _KEYS)]
    for name, _ in indexes:
        await connection.execute(f"DROP INDEX {name}")
    for name, _ in keys:
        await connection.execute(f"ALTER TABLE tasks DROP CONSTRAINT {name}")
    await connection.execute("ALTER TABLE tasks DISABLE TRIGGER tasks_come_and_go")
    for project_id, size in zip(ids, sizes, strict=True):
        run_every = max(2, size // _MOST_RUNS)
        await connection.execute(_TASKS, project_id, account.user_id, size, run_every)
        await connection.execute(_RUNS, project_id, run_every)
        await connection.execute(_NUMBERED, project_id, size + 1)
    await connection.execute("SET maintenance_work_mem = '1GB'")
    for _, definition in indexes:
        await connection.execute(definition)
    for name, definition in keys:
        await connection.execute(f"ALTER TABLE tasks ADD CONSTRAINT {name} {definition}")
    await connection.execute(_COUNTED)
    await _fold(sessions)
    await connection.execute("VACUUM ANALYZE")
    return [
        ProjectOfSize(
            project_id,
            size,
            tuple(row["id"] for row in await connection.fetch(_NEWEST, project_id, account.user_id)),
            device_id,
        )
        for project_id, size in zip(ids, sizes, strict=True)
    ]


async def _fold(sessions: SessionFactory) -> None:
    rows = FOLDED_AT_ONCE
    while rows >= FOLDED_AT_ONCE:
        async with unit_of_work(sessions) as session:
            rows = await fold_counts(session, TASK_COUNTS)


async def _make_project(sessions: SessionFactory, account: Account, size: int) -> int:
    async with unit_of_work(sessions) as session:
        project = await administration.create_project(session, f"Bench {size}")
        await administration.add_member(session, user_id=account.user_id, project_id=project.id)
        return project.id
