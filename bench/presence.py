"""Beats per second of the service against the same upsert sent straight through asyncpg.

Both keep as many statements under way on as many connections; what the service adds is one session, one compiled
statement and the checks of task and device. HTTP is measured beside it. Run it with `make bench-presence`.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
import structlog

from app.clock import utcnow
from app.config import Settings
from app.db import unit_of_work
from app.enums import OriginProduct, Platform
from app.ids import new_hex_id, new_id
from app.main import create_app
from app.models import PushToken, Task
from app.runtime import ProcessContext, open_process
from app.services.access.authenticate import authenticate
from app.services.accounts import accounts, api_keys
from app.services.notifications import presence
from app.services.notifications.devices import hash_token
from bench.servers import servers

_CONNECTIONS: Final = 10
_BEATS: Final = 2000
_HTTP_BEATS: Final = 500
_DEVICES: Final = 200
# The service's beat also checks task and device, and goes through a session.
_LEAST_SHARE: Final = 0.2

_UPSERT: Final = """
INSERT INTO presence (task_id, push_token_id, project_id, user_id, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (task_id, push_token_id) DO UPDATE SET expires_at = excluded.expires_at
"""


async def _rate(beat: Callable[[int], Awaitable[None]], count: int) -> float:
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await beat(number)

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(_CONNECTIONS)))
    return count / (time.perf_counter() - started)


async def _measure(process: ProcessContext) -> dict[str, float]:
    async with unit_of_work(process.sessions) as session:
        organization = await accounts.create_organization(session, "Bench")
        project = await accounts.create_project(session, "Bench", organization_id=organization.id)
        user = await accounts.create_user(session, "bench@example.com", project_ids=[project.id])
        key = await api_keys.create_api_key(session, user_id=user.id, scopes=["*"])
        task = _task(project.id, user.id)
        devices = [_device(user.id) for _ in range(_DEVICES)]
        session.add(task)
        session.add_all(devices)
        await session.flush()
        caller = await authenticate(session, key.value, place="", project=project.id)
    ids = [device.id for device in devices]

    async def service(number: int) -> None:
        async with unit_of_work(process.sessions) as session:
            await presence.beat(session, caller, task.id, ids[number % _DEVICES])

    url = f"/api/projects/{project.id}/tasks/{task.id}/presence/"
    transport = httpx.ASGITransport(create_app(process.settings, process=process))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", headers={"Authorization": f"Bearer {key.value}"}
    ) as client:

        async def http(number: int) -> None:
            body = {"device_id": str(ids[number % _DEVICES])}
            (await client.post(url, json=body)).raise_for_status()

        straight = await _straight(process.settings, task.id, ids, project.id, user.id)
        return {
            "asyncpg": straight,
            "service": await _best(service, _BEATS),
            "http": await _best(http, _HTTP_BEATS),
        }


async def _best(beat: Callable[[int], Awaitable[None]], count: int) -> float:
    """Return the best of three: what else happens on the machine only slows down."""
    await _rate(beat, count // 10)
    return max([await _rate(beat, count) for _ in range(3)])


async def _straight(
    settings: Settings, task_id: UUID, devices: list[UUID], project_id: int, user_id: int
) -> float:
    dsn = settings.database_url.replace("+asyncpg", "")
    async with asyncpg.create_pool(
        dsn,
        min_size=_CONNECTIONS,
        max_size=_CONNECTIONS,
        server_settings={"synchronous_commit": "off", "jit": "off"},
    ) as pool:

        async def beat(number: int) -> None:
            expires_at = utcnow() + timedelta(seconds=60)
            await pool.execute(_UPSERT, task_id, devices[number % _DEVICES], project_id, user_id, expires_at)

        return await _best(beat, _BEATS)


def _task(project_id: int, user_id: int) -> Task:
    now = utcnow()
    return Task(
        id=new_id(),
        project_id=project_id,
        created_by_id=user_id,
        title="Bench",
        title_manually_set=True,
        description="",
        origin_product=OriginProduct.USER_CREATED,
        internal=False,
        archived=False,
        created_at=now,
        updated_at=now,
    )


def _device(user_id: int) -> PushToken:
    token, now = new_hex_id(), utcnow()
    return PushToken(
        id=new_id(),
        user_id=user_id,
        token=token,
        token_hash=hash_token(token),
        platform=Platform.IOS,
        created_at=now,
        last_seen_at=now,
    )


async def _run(settings: Settings) -> dict[str, Any]:
    async with open_process(settings, name="bench") as process:
        rates = await _measure(process)
    share = rates["service"] / rates["asyncpg"]
    return {
        **{f"{name}_beats_per_second": round(rate) for name, rate in rates.items()},
        "service_share_of_asyncpg": round(share, 2),
        "bar": f"the service's beat, with its checks, reaches {_LEAST_SHARE:.0%} of a bare upsert",
        "ok": share >= _LEAST_SHARE,
    }


def main() -> int:
    """Measure, print one JSON object, and return an exit status."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with servers() as settings:
        result = asyncio.run(_run(settings))
    print(json.dumps(result, indent=2))  # noqa: T201 - the result
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
