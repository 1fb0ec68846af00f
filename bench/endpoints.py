"""Measure the cost of webhook endpoints for create, update and run: with the maximum and with none.

Both in turns, in one project; no worker delivers. The bar is three percent.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import asyncpg

from bench.cases import CASES, Case
from bench.data import Account, ProjectOfSize
from bench.load import Cost, Wire
from bench.table import row

_ENDPOINTS: Final = 20
_REMOVE: Final = "DELETE FROM webhook_endpoints WHERE project_id = $1"
_REGISTER: Final = f"""
INSERT INTO webhook_endpoints (
    id, project_id, created_by_id, url, event_types, payload, enabled, encrypted_secret, secret_hint, created_at, updated_at
)
SELECT gen_random_uuid(), $1, $2, 'https://example.com/' || i, '{{*}}', 'thin', true, '', '', now(), now()
FROM generate_series(1, {_ENDPOINTS}) i
"""
# Each is run once: a second request would be answered with the run of the first.
_NOT_RUN: Final = """
SELECT id FROM tasks WHERE project_id = $1 AND created_by_id = $2 AND latest_run_id IS NULL AND NOT deleted LIMIT 20000
"""

Send = Callable[[Iterator[Wire]], Awaitable[Cost]]


async def rows(
    connection: asyncpg.Connection, account: Account, project: ProjectOfSize, send: Send, *, rounds: int
) -> list[tuple[str, ...]]:
    """Measure create, update and run with and without webhook endpoints; return rows of the table.

    `send` sends requests for one round and returns their cost.
    """
    tasks = await connection.fetch(_NOT_RUN, project.id, account.user_id)
    run = (Wire("POST", f"/api/projects/{project.id}/tasks/{task_id}/run", b"{}") for (task_id,) in tasks)
    lines: list[tuple[str, ...]] = []
    for name, requests in (*_writes(account, project), ("run", run)):
        none, many = Cost(), Cost()
        await send(requests)
        for cost, count in itertools.islice(itertools.cycle(((none, 0), (many, _ENDPOINTS))), 2 * rounds):
            await connection.execute(_REMOVE, project.id)
            if count:
                await connection.execute(_REGISTER, project.id, account.user_id)
            cost.add(await send(requests))
        lines += [
            row(name, f"{_ENDPOINTS} endpoints", many, statements=None, raw=none),
            row(name, "no endpoint", none, statements=None, raw=None),
        ]
    await connection.execute(_REMOVE, project.id)
    return lines


def _writes(account: Account, project: ProjectOfSize) -> Iterator[tuple[str, Iterator[Wire]]]:
    cases: tuple[Case, ...] = CASES
    for case in cases:
        if case.name in {"create", "update"}:
            yield case.name, case.requests(account, project)
