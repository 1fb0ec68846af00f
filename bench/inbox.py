"""Measure the first page of an inbox with 10,000 open questions beside an empty one, in turns.

The bar is twice the median of the empty one.
"""

from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from typing import Final

import asyncpg

from bench.data import ProjectOfSize
from bench.load import Cost, Wire
from bench.table import row

_QUESTIONS: Final = 10_000
_TASKS: Final = 50
_ASK: Final = f"""
INSERT INTO questions (
    id, project_id, task_id, run_id, task_creator_id, request_id, kind, title, detail, options, risk, urgency, digest, opened_at,
    status
)
SELECT
    gen_random_uuid(), tasks.project_id, tasks.id, tasks.latest_run_id, tasks.created_by_id, 'question ' || i, 'permission',
    'Run make?', 'make', '[{{"id": "yes", "name": "Allow", "kind": "allow_once"}}]', 'normal', 'normal', sha256('make'),
    now() - i * interval '1 second', 'open'
FROM
    (SELECT * FROM tasks WHERE id = any($1) LIMIT {_TASKS}) tasks,
    generate_series(1, {_QUESTIONS // _TASKS}) i
"""
_REMOVE: Final = "DELETE FROM questions"
_REQUEST: Final = Wire("GET", "/api/users/@me/inbox/")

Send = Callable[[Iterator[Wire]], Awaitable[Cost]]


async def rows(
    connection: asyncpg.Connection, project: ProjectOfSize, send: Send, *, rounds: int
) -> list[tuple[str, ...]]:
    """Measure the first page of a large and of an empty inbox; return rows of the table.

    `send` sends requests for one round and returns their cost.
    """
    none, many = Cost(), Cost()
    await send(repeat(_REQUEST))
    for _ in range(rounds):
        none.add(await send(repeat(_REQUEST)))
        await connection.execute(_ASK, project.task_ids)
        # As the database cleans up by itself in time: after so many writes at once it would be in the midst
        # of it.
        await connection.execute("VACUUM ANALYZE questions")
        many.add(await send(repeat(_REQUEST)))
        await connection.execute(_REMOVE)
        await connection.execute("VACUUM ANALYZE questions")
    ratio = f"{many.quantile_ms(0.5) / none.quantile_ms(0.5):.2f}"
    return [
        row("inbox", f"{_QUESTIONS:,} questions", many, statements=None, raw=none),
        row("inbox", "no question", none, statements=None, raw=None),
        ("inbox: p50 to none", "", "", ratio, *[""] * 5),
    ]
