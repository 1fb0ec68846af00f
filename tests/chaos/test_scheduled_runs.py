"""Scheduled runs begin once each, whatever restarts before their time and at that time."""

import os
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Event, Run
from app.outages import DatabaseUnavailable
from tests.support.deployment.own_servers import OwnServers
from tests.support.deployment.site import Site
from tests.support.waiting import eventually

SCHEDULED = int(os.environ.get("TASKBEACON_TEST_CHAOS_SCHEDULED", "1000"))

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


async def test_runs_that_are_scheduled_for_one_second_start_once_each(
    site: Site, servers: OwnServers
) -> None:
    """Agents that are not installed: what counts is that each run is taken up, and once."""
    agent = {"runtime_adapter": "codex", "model": "gpt-5.5"}
    wish = {"description": "Hello", "scheduled_at": (utcnow() + timedelta(days=1)).isoformat(), **agent}
    async with site.api() as client:
        for _ in range(SCHEDULED):
            answer = await client.post("", json=wish)
            assert answer.json()["run"]["status"] == "not_started", answer.text

    first = site.start_worker()
    await site.wait_until_logged(first, "worker.started")
    servers.postgres.stop()
    servers.valkey.stop()
    servers.valkey.start()
    servers.postgres.start()
    first.kill()
    await eventually(lambda: answers(site))

    moment = utcnow() + timedelta(seconds=5)
    async with unit_of_work(site.sessions) as session:
        rows = (await session.execute(select(Run.status, func.count()).group_by(Run.status))).all()
        assert [tuple(row) for row in rows] == [(RunStatus.NOT_STARTED, SCHEDULED)]
        await session.execute(update(Run).values(scheduled_at=moment))
    second, _ = [site.start_worker(PATH="/usr/bin:/bin", TASKBEACON_WORKER_CONCURRENCY="8") for _ in range(2)]
    await eventually(lambda: count(site, "run.queued"), within_seconds=120)
    # What was queued may have lost its job, and the sweep a batch.
    servers.valkey.stop()
    servers.valkey.start()
    assert second.is_running

    async def are_all_queued() -> bool:
        return await count(site, "run.queued") == SCHEDULED

    await eventually(are_all_queued, within_seconds=120)
    await site.let_the_grace_pass()
    await site.wait_until_over(SCHEDULED)

    runs = await site.rows()
    assert Counter((run.status, run.attempts) for run in runs) == {(RunStatus.FAILED, 1): SCHEDULED}
    assert all("npm install" in (run.error_message or "") for run in runs)
    async with unit_of_work(site.sessions) as session:
        events = select(Event.run_id, Event.type, func.count(), func.min(Event.occurred_at))
        shown = events.where(Event.run_id.is_not(None)).group_by(Event.run_id, Event.type)
        found = (await session.execute(shown)).all()
    assert Counter((type_, times) for _, type_, times, _ in found) == {
        (type_, 1): SCHEDULED for type_ in ("run.queued", "run.started", "run.failed")
    }
    assert min(at for *_, at in found) >= moment


async def answers(site: Site) -> bool:
    """Return whether the database answers; connections from before its restart do not."""
    try:
        await count(site, "run.queued")
    except DatabaseUnavailable:
        return False
    return True


async def count(site: Site, event: str) -> int:
    async with unit_of_work(site.sessions) as session:
        found = await session.scalar(select(func.count()).where(Event.type == event))
    return found or 0
