"""The presence of a device that a live stream keeps, when the process stops (contract 7.1)."""

import asyncio

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.models import Presence, Project, Task, User
from app.services.notifications.stream_presence import StreamPresence, Watcher
from tests.concurrency.races import count_waiting
from tests.support.devices import make_device, make_presence
from tests.support.principals import member_of
from tests.support.waiting import eventually, next_round


async def test_cancelled_stream_leaves_after_a_beat_that_is_under_way(
    sessions: SessionFactory, session: AsyncSession, project: Project, task: Task, owner: User
) -> None:
    """Regression: the beat was cancelled, and the device counted as watching until its presence expired."""
    device = await make_device(session, user=owner)
    await make_presence(session, task=task, device=device)
    watcher = Watcher(member_of(project, owner), task.id, device.id, utcnow())
    may_end = asyncio.Event()

    async def stream() -> None:
        async with StreamPresence(sessions, beat_seconds=0.02).watching(watcher):
            await may_end.wait()

    async with unit_of_work(sessions) as holder:
        await holder.execute(text("LOCK TABLE presence IN ACCESS EXCLUSIVE MODE"))
        streaming = asyncio.create_task(stream())
        await eventually(lambda: count_waiting(sessions))
        may_end.set()
        await next_round()
        streaming.cancel()
        await next_round()
    await asyncio.wait({streaming})
    assert streaming.cancelled()
    assert await session.scalar(select(func.count()).select_from(Presence)) == 0
