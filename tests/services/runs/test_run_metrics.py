"""Metrics of runs: counted once they are committed, with how they ended and what they used."""

from typing import Any

import httpx
from prometheus_client import REGISTRY
from sqlalchemy import update

from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.redis import RedisClient, create_redis
from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus
from app.models import Run, Task
from app.models.runs.run_facts import note_fact
from app.services.runs import run_lifecycle
from app.services.runs.queue.worker_reports import report_worker, withdraw_report
from app.services.runs.run_lifecycle import RunEnd
from app.services.runs.run_metrics import measure_queue
from tests.support import runs
from tests.support.clock import MovableClock
from tests.support.factories import make_run
from tests.support.metrics import growth

_GAUGES = ("runs_queued", "runs_queued_oldest_seconds", "runs_active", "workers", "worker_slots")


async def waiting(sessions: SessionFactory, task: Task, clock: MovableClock, **overrides: Any) -> Run:
    async with unit_of_work(sessions) as session:
        return await make_run(session, task=task, dispatch_requested_at=clock(), **overrides)


async def test_run_is_counted_when_it_begins_and_when_it_ends(
    sessions: SessionFactory, task: Task, events: RunEvents, clock: MovableClock
) -> None:
    usage = {"total_tokens": 110, "cost": {"amount": 0.25, "currency": "USD"}}
    run = await waiting(sessions, task, clock, facts={"usage": usage})
    started, waited = growth("taskbeacon_runs_started_total"), growth("taskbeacon_run_start_seconds_sum")
    ended = growth("taskbeacon_runs_ended_total", status="completed", reason="agent ended")
    lasted = growth("taskbeacon_run_end_seconds_sum", status="completed")
    tokens, cost = growth("taskbeacon_run_tokens_total"), growth("taskbeacon_run_cost_dollars_total")

    clock.advance(seconds=7)
    async with unit_of_work(sessions) as session:
        assert await run_lifecycle.claim(session, owner="job", events=events)
        assert started() == 0
    assert (started(), waited()) == (1, 7)

    clock.advance(seconds=20)
    end = RunEnd(status=RunStatus.COMPLETED)
    async with unit_of_work(sessions) as session:
        await run_lifecycle.finish(session, run.id, end, owner="job", events=events)
    assert (ended(), tokens(), cost(), lasted()) == (1, 110, 0.25, 20)

    # Regression: an end counted again what the run had used, and how long it had lasted, before it was resumed.
    clock.advance(hours=1)
    async with unit_of_work(sessions) as session:
        await run_lifecycle.reopen(session, run.id, events=events)
        assert await run_lifecycle.claim(session, owner="job", events=events)
        usage = {"total_tokens": 140, "cost": {"amount": 0.3, "currency": "USD"}}
        assert await note_fact(session, run.id, "usage", usage, owner="job")
    clock.advance(seconds=5)
    async with unit_of_work(sessions) as session:
        await run_lifecycle.finish(session, run.id, end, owner="job", events=events)
    assert (ended(), tokens(), cost(), lasted()) == (2, 140, 0.3, 25)


async def test_run_that_is_taken_over_from_a_client_is_counted_whole(
    sessions: SessionFactory, task: Task, events: RunEvents, clock: MovableClock
) -> None:
    """It has not ended before, so nothing of it was counted."""
    run = await waiting(
        sessions, task, clock, status=RunStatus.IN_PROGRESS, facts={"usage": {"total_tokens": 7}}
    )
    tokens = growth("taskbeacon_run_tokens_total")
    async with unit_of_work(sessions) as session:
        await run_lifecycle.reopen(session, run.id, events=events)
        await run_lifecycle.set_status(session, run.id, RunStatus.CANCELLED, events=events)
    assert tokens() == 7


async def test_lost_worker_is_counted(
    sessions: SessionFactory, task: Task, events: RunEvents, clock: MovableClock
) -> None:
    run = await waiting(sessions, task, clock)
    async with unit_of_work(sessions) as session:
        await run_lifecycle.claim(session, owner="job", events=events)
        await run_lifecycle.mark_agent_started(session, run.id, owner="job")
    lost = growth("taskbeacon_run_leases_lost_total")
    ended = growth("taskbeacon_runs_ended_total", status="failed", reason="worker lost")
    clock.advance(seconds=61)
    async with unit_of_work(sessions) as session:
        await runs.recover_lapsed(session, events=events)
    assert (lost(), ended()) == (1, 1)


async def test_run_that_a_client_ends_is_counted_as_its(
    client: httpx.AsyncClient, sessions: SessionFactory, task: Task, tasks_url: str, clock: MovableClock
) -> None:
    run = await waiting(sessions, task, clock)
    ended = growth("taskbeacon_runs_ended_total", status="cancelled", reason="client")
    for _ in range(2):
        response = await client.patch(f"{tasks_url}/{task.id}/runs/{run.id}", json={"status": "cancelled"})
        assert response.status_code == 200
    assert ended() == 1


async def test_figures_of_the_queue_are_what_the_database_and_the_workers_say(
    sessions: SessionFactory, task: Task, events: RunEvents, redis: RedisClient, clock: MovableClock
) -> None:
    async def shown(through: RedisClient = redis) -> list[float | None]:
        await measure_queue(sessions, through)
        return [REGISTRY.get_sample_value(f"taskbeacon_{name}") for name in _GAUGES]

    await waiting(sessions, task, clock)
    clock.advance(seconds=40)
    second = await waiting(sessions, task, clock)
    clock.advance(seconds=2)
    assert await shown() == [2, 42, 0, 0, 0]

    async with unit_of_work(sessions) as session:
        await run_lifecycle.claim(session, owner="job", events=events)
    for name in ("one", "two"):
        await report_worker(redis, name, {"agents": {}, "slots": 4, "warnings": []})
    assert await shown() == [1, 2, 1, 2, 8]

    await withdraw_report(redis, "two")
    async with unit_of_work(sessions) as session:
        cancelled = {"status": RunStatus.CANCELLED, "completed_at": clock.now}
        await session.execute(update(Run).where(Run.id == second.id).values(cancelled))
    assert await shown() == [0, 0, 1, 1, 4]

    # Regression: by the clock of its own machine a worker removed the reports of others, or lost its own.
    clock.advance(seconds=61)
    await report_worker(redis, "three", {"agents": {}, "slots": 2, "warnings": []})
    assert await shown() == [0, 0, 1, 1, 2]

    async with create_redis("redis://127.0.0.1:1/0") as nowhere:
        *by_database, workers, slots = await shown(nowhere)
    assert by_database == [0, 0, 1]
    assert str((workers, slots)) == "(nan, nan)"
