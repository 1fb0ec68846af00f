"""Count the statements that a request sends, transactions included, as the driver itself gets them."""

import asyncio
from typing import Any

import httpx
from sqlalchemy import event

from app.config import Settings
from app.main import create_app
from app.runtime import open_process
from bench.data import Account
from bench.load import Wire


async def count_statements(settings: Settings, account: Account, wire: Wire) -> int:
    """Perform the request a few times in this process; return the database round trips of the last time."""
    counted: list[str] = []

    def note(record: Any) -> None:
        counted.append(record.query)

    def connected(connection: Any, _record: Any) -> None:
        # Sees BEGIN and COMMIT too, but not what SQLAlchemy has prepared by itself.
        connection.driver_connection.add_query_logger(note)

    def performed(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        counted.append(sql)

    async with open_process(settings, name="statements") as process:
        engine = process.sessions.kw["bind"].sync_engine
        event.listen(engine, "connect", connected)
        event.listen(engine, "before_cursor_execute", performed)
        transport = httpx.ASGITransport(create_app(settings, process=process))
        headers = {"Authorization": account.authorization, "Content-Type": "application/json"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            for _ in range(4):
                counted.clear()
                answer = await client.request(wire.method, wire.path, content=wire.body)
                answer.raise_for_status()
                # The driver notes a statement in the next turn of the loop.
                await asyncio.sleep(0)
    return len(counted)
