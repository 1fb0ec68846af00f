"""Measure sweeps: what a batch of old rows costs, and a look that finds none, in a small and in a large table."""

import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg
import uvloop
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.db import unit_of_work
from app.runtime import open_process
from app.services.events.event_sweep import prune_events
from app.services.idempotency import sweep_keys
from app.services.notifications.push_history import sweep_history
from app.services.notifications.rules.cooldowns import sweep_cooldowns
from app.services.run_log.log_writing import sweep_event_ids
from app.services.runs.command_delivery import sweep_commands
from app.services.webhook_endpoints.deliveries import prune_deliveries
from bench.data import fill, make_account
from bench.servers import servers
from bench.table import timing

# Half of the rows are old.
_SIZES: Final = (100_000, 1_000_000)
_RUNS: Final = 100_000
_LOOKS: Final = 5
_KEPT: Final = timedelta(days=30)
_AT: Final = "now() - CASE WHEN i <= $1::int / 2 THEN interval '40 days' ELSE interval '1 hour' END"
_ENDPOINT: Final = """
INSERT INTO webhook_endpoints (
    id, project_id, created_by_id, url, event_types, payload, enabled, encrypted_secret, secret_hint, created_at, updated_at
)
SELECT gen_random_uuid(), project_id, user_id, 'https://bench.example.com', '{*}', 'thin', true, '', '', now(), now()
FROM memberships LIMIT 1
"""
_OLD_RUNS: Final = """
UPDATE runs SET completed_at = now() - interval '40 days' WHERE completed_at IS NOT NULL
"""
_RUN: Final = """
JOIN (SELECT row_number() OVER (ORDER BY id) - 1 AS place, id, task_id, project_id FROM runs) AS run
    ON run.place = i % (SELECT count(*) FROM runs)
"""
_ROWS: Final = {
    "events": f"""
        INSERT INTO events (project_id, type, task_id, run_id, subject_seq, occurred_at, data)
        SELECT project_id, 'run.completed', task_id, run.id, 1, {_AT}, '{{"duration_seconds": 1, "environment": "cloud"}}'
        FROM generate_series(1, $1::int) i {_RUN} ORDER BY i
    """,
    "webhook_endpoint_deliveries": f"""
        INSERT INTO webhook_endpoint_deliveries (
            id, endpoint_id, event_id, event_type, event_at, body, status, attempts, attempts_allowed, due_at, created_at
        )
        SELECT gen_random_uuid(), (SELECT id FROM webhook_endpoints LIMIT 1), gen_random_uuid(), 'run.completed', {_AT},
            repeat('0123456789abcdef', 40), 'delivered', 1, 10, {_AT}, {_AT}
        FROM generate_series(1, $1::int) i
    """,
    "notifications": f"""
        INSERT INTO notifications (id, task_id, run_id, user_id, kind, body, decision, created_at, settled_at)
        SELECT gen_random_uuid(), task_id, run.id, (SELECT min(user_id) FROM memberships), 'completed', 'It is done',
            'no_token', {_AT}, {_AT}
        FROM generate_series(1, $1::int) i {_RUN}
    """,
    "run_commands": f"""
        INSERT INTO run_commands (id, run_id, method, params, status, created_at, settled_at)
        SELECT gen_random_uuid(), run.id, 'user_message', '{{"content": "And now the other one, please."}}', 'consumed',
            {_AT}, {_AT}
        FROM generate_series(1, $1::int) i {_RUN}
    """,
    "push_cooldowns": f"""
        INSERT INTO push_cooldowns (run_id, kind, expires_at)
        SELECT run.id, kind, {_AT} + interval '2 hours'
        FROM generate_series(1, least($1::int, (SELECT count(*) FROM runs)::int)) i {_RUN}, unnest('{{completed,awaiting}}'::text[]) kind
    """,
    "idempotency_keys": f"""
        INSERT INTO idempotency_keys (project_id, user_id, key, request_hash, status, body, created_at)
        SELECT project_id, user_id, i::text, repeat('0', 64), 201, repeat('0123456789abcdef', 40)::bytea, {_AT}
        FROM generate_series(1, $1::int) i, (SELECT * FROM memberships LIMIT 1) AS member
    """,
    "run_event_ids": f"""
        INSERT INTO run_event_ids (run_id, event_id, kept)
        SELECT run.id, i::text, true FROM generate_series(1, $1::int) i {_RUN}
    """,
}
_SWEEPS: Final[dict[str, Callable[[AsyncSession], Awaitable[int]]]] = {
    "events": partial(prune_events, kept=_KEPT),
    "webhook_endpoint_deliveries": partial(prune_deliveries, kept=_KEPT),
    "notifications": partial(sweep_history, kept=_KEPT),
    "run_commands": partial(sweep_commands, kept=_KEPT),
    "push_cooldowns": sweep_cooldowns,
    "idempotency_keys": sweep_keys,
    "run_event_ids": sweep_event_ids,
}


async def _measure(settings: Settings) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    connection = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
    async with open_process(settings, name="bench") as process:

        async def swept(table: str) -> tuple[int, float]:
            began = time.perf_counter()
            async with unit_of_work(process.sessions) as session:
                count = await _SWEEPS[table](session)
            return count, (time.perf_counter() - began) * 1000

        account = await make_account(process.sessions)
        await fill(process.sessions, connection, account, [2 * _RUNS])
        await connection.execute(_OLD_RUNS)
        await connection.execute(_ENDPOINT)
        for size in _SIZES:
            for table, rows in _ROWS.items():
                await connection.execute(f"TRUNCATE {table} CASCADE")
                await connection.execute(rows, size)
                await connection.execute(f"VACUUM ANALYZE {table}")
                batches = []
                while (batch := await swept(table))[0]:
                    batches.append(batch)
                total, spent = sum(count for count, _ in batches), sum(ms for _, ms in batches)
                name = f"sweep {table} ({size:,})"
                lines += timing(f"{name}: 1,000 rows", spent / total * 1000)
                lines += timing(f"{name}: longest batch", max(ms for _, ms in batches))
                lines += timing(
                    f"{name}: none is old",
                    statistics.median([(await swept(table))[1] for _ in range(_LOOKS)]),
                )
    await connection.close()
    return lines


def rows() -> list[tuple[str, ...]]:
    """Measure the sweeps of the tables that grow; return rows of the table of `make bench`."""
    with servers() as (settings, _):
        return uvloop.run(_measure(settings))
