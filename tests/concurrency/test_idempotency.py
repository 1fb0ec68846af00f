"""Two requests with one `Idempotency-Key` at the same time: one is performed, both get its answer."""

import asyncio

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Run
from tests.support.stand_ins.fakes import RecordingQueue

KEY = {"Idempotency-Key": "once"}


@pytest.mark.parametrize("route", ["run", "runs"])
async def test_concurrent_requests_make_one_run(
    client: httpx.AsyncClient, session: AsyncSession, task_url: str, queue: RecordingQueue, route: str
) -> None:
    answers = await asyncio.gather(*(client.post(f"{task_url}/{route}", headers=KEY) for _ in range(5)))

    assert {answer.is_success for answer in answers} == {True}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == [""] + ["true"] * 4
    assert await session.scalar(select(func.count()).select_from(Run)) == 1
    assert len(queue.jobs) == int(route == "run")
