"""The arq worker on a real Redis: from a request to the end of its run, and what an outage in between costs."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clients.http.guarded_http import create_guarded_client
from app.clients.job_queue import CHORES_QUEUE, QUEUE_NAME, JobQueue
from app.clients.webhooks.webhook_client import WebhookClient
from app.clock import utcnow
from app.config import Settings
from app.db import SessionFactory, unit_of_work
from app.enums import RunStatus, SandboxKind
from app.ids import new_hex_id
from app.main import create_app
from app.models import Run, Task
from app.runtime import ProcessContext, open_process
from app.security.addresses import AddressPolicy
from app.services.enqueueing import enqueue_run
from app.services.runs.lost_runs import recover_runs
from app.services.runs.queue.worker_reports import read_reports
from app.services.runs.run_lifecycle import claim
from app.worker.job_table import create_chores_worker, create_worker
from app.worker.main import looping, reporting, working
from app.worker.slots import RunSlots
from tests.fixtures.worker import Workshop
from tests.support.callers import CallerKind, make_caller
from tests.support.clock import MovableClock
from tests.support.database.faults import Planted
from tests.support.deployment.processes import service_process
from tests.support.factories import make_task
from tests.support.stand_ins.fakes import ScriptedGate
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.stand_ins.receiver import Receiver
from tests.support.waiting import eventually, next_round, patient
from tests.support.webhooks import LOOPBACK, attempts_of, make_delivery, make_endpoint
from tests.worker.pilot import Pilot

# A port that nothing listens on.
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
async def arq_queue(workshop: Workshop) -> AsyncGenerator[JobQueue, None]:
    queue = JobQueue(workshop.context.process.settings.redis_url)
    yield queue
    await queue.aclose()


@pytest.fixture
async def unreachable_queue() -> AsyncGenerator[JobQueue, None]:
    queue = JobQueue(NO_REDIS)
    yield queue
    await queue.aclose()


def with_queue(workshop: Workshop, queue: JobQueue) -> ProcessContext:
    return replace(workshop.context.process, queue=queue)


async def post_run(workshop: Workshop, queue: JobQueue) -> tuple[httpx.Response, Task]:
    """Ask the API, with this queue, to run a task that says hi."""
    process = with_queue(workshop, queue)
    async with unit_of_work(process.sessions) as session:
        caller = await make_caller(session, CallerKind.OWNER, project=workshop.project, owner=workshop.owner)
        task = await make_task(
            session, project=workshop.project, created_by=workshop.owner, description="```say\nhi\n```"
        )
    transport = httpx.ASGITransport(create_app(process.settings, process=process))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://testserver", headers=caller.headers
    ) as client:
        response = await client.post(f"/api/projects/{workshop.project.id}/tasks/{task.id}/run")
    return response, task


async def work_until_idle(workshop: Workshop, queue: JobQueue) -> None:
    """Have a worker perform what is queued."""
    context = replace(workshop.context, process=with_queue(workshop, queue))
    worker = create_worker(context, burst=True, handle_signals=False)
    try:
        await worker.async_run()
    finally:
        await worker.close()


async def latest_run(workshop: Workshop, task: Task) -> Run:
    async with unit_of_work(workshop.sessions) as session:
        fresh = await session.get_one(Task, task.id)
        assert fresh.latest_run_id is not None
        return await session.get_one(Run, fresh.latest_run_id)


async def test_run_asked_for_over_http_is_performed(workshop: Workshop, arq_queue: JobQueue) -> None:
    response, task = await post_run(workshop, arq_queue)
    assert (response.status_code, response.json()["latest_run"]["status"]) == (200, "queued")

    await work_until_idle(workshop, arq_queue)

    run = await latest_run(workshop, task)
    assert run.status == RunStatus.COMPLETED, run.error_message
    assert run.output is not None
    assert run.output["summary"] == "hi"


async def test_job_leaves_nothing_in_redis(workshop: Workshop, arq_queue: JobQueue) -> None:
    await post_run(workshop, arq_queue)

    await work_until_idle(workshop, arq_queue)

    left = [key async for key in workshop.context.process.redis.scan_iter("*execute_run*")]
    assert [key for key in left if not key.startswith(b"arq:retry")] == []


async def test_run_is_accepted_while_redis_is_down_and_performed_later(
    workshop: Workshop,
    unreachable_queue: JobQueue,
    arq_queue: JobQueue,
    clock: MovableClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every request in an outage logged an error with its stack."""
    response, task = await post_run(workshop, unreachable_queue)
    assert (response.status_code, response.json()["latest_run"]["status"]) == (200, "queued")
    [warning] = [record for record in caplog.records if "db.after_commit_failed" in record.message]
    assert (warning.levelname, "Traceback" in warning.message) == ("WARNING", False)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    clock.advance(seconds=30)

    process = workshop.context.process
    assert await recover_runs(replace(process, queue=arq_queue)) == 1
    await work_until_idle(workshop, arq_queue)

    assert (await latest_run(workshop, task)).status == RunStatus.COMPLETED


async def test_chores_begin_once_redis_answers_that_was_away_at_their_start(
    workshop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    """Regression: they ended at the first error, and the worker went on without them."""
    process = workshop.context.process
    async with interruptible(process.settings.redis_url) as between:
        await between.refuse()
        url = behind(between, process.settings.redis_url)
        settings = process.settings.model_copy(update={"redis_url": url})
        chores = create_chores_worker(workshop.with_process(settings=settings).context)
        async with working("chores", chores):
            await eventually(lambda: "worker.redis_unavailable" in caplog.text)
            await between.resume()
            await eventually(lambda: process.redis.exists(f"{CHORES_QUEUE}:health-check"))

    assert "worker.loop_failed" not in caplog.text
    assert "worker.broken_off" not in caplog.text


async def test_worker_that_starts_without_redis_delivers_webhooks_and_stops(
    workshop: Workshop, receiver: Receiver, settings: Settings, tmp_path: Path
) -> None:
    """Regression: it waited for Redis first, although what is due is in the database."""
    async with unit_of_work(workshop.sessions) as session:
        endpoint, _ = await make_endpoint(
            session, project=workshop.project, created_by=workshop.owner, url=receiver.url()
        )
        delivery = await make_delivery(session, endpoint)
    without = settings.model_copy(update={"redis_url": NO_REDIS})
    environment = {
        "TASKBEACON_HOME": str(tmp_path),
        "TASKBEACON_AGENT_SANDBOX": "none",
        "TASKBEACON_WEBHOOK_ALLOW_PRIVATE_NETWORKS": ",".join(LOOPBACK),
    }
    with service_process("worker", settings=without, log=tmp_path / "log", **environment) as worker:
        await eventually(lambda: receiver.messages, within_seconds=180)
        assert await worker.stop() == 0, worker.log.read_text()
    [attempt] = await attempts_of(workshop.sessions, delivery)
    assert attempt.outcome == "delivered"
    assert "Traceback" not in worker.log.read_text()


@asynccontextmanager
async def gate_that_cannot_be_closed(
    _settings: Settings, _sessions: SessionFactory
) -> AsyncGenerator[ScriptedGate, None]:
    """The factory of an operator's usage gate."""
    yield ScriptedGate()
    raise Planted


async def test_process_closes_each_client_though_another_cannot_be_closed(
    settings: Settings, engine: AsyncEngine
) -> None:
    """Regression: the first error left all clients after it open, such as the connections to the database."""
    settings = settings.model_copy(update={"usage_gate": f"{__name__}:gate_that_cannot_be_closed"})
    name = new_hex_id()
    sessions_of = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")

    async def count() -> int:
        async with engine.connect() as connection:
            found = await connection.execute(sessions_of, {"name": f"taskbeacon-{name}"})
            return int(found.scalar_one())

    opened = open_process(settings, name=name)
    process = await opened.__aenter__()
    async with unit_of_work(process.sessions) as session:
        await session.execute(text("SELECT 1"))
    assert await count() == 1
    with pytest.raises(Planted):
        await opened.__aexit__(None, None, None)

    async def is_closed() -> bool:
        return await count() == 0

    await eventually(is_closed)
    assert process.sessions is not None, "kept until here, so that it is not closed as garbage"


async def test_worker_stops_while_redis_is_away(workshop: Workshop, caplog: pytest.LogCaptureFixture) -> None:
    """Regression: the stop raised, and skipped what had to be stopped after it."""
    process = workshop.context.process
    async with interruptible(process.settings.redis_url) as between:
        settings = process.settings.model_copy(
            update={"redis_url": behind(between, process.settings.redis_url)}
        )
        chores = create_chores_worker(workshop.with_process(settings=settings).context)
        async with working("chores", chores):
            await eventually(lambda: process.redis.exists(f"{CHORES_QUEUE}:health-check"))
            await between.refuse()

    assert "worker.redis_unavailable" in caplog.text


async def test_runs_survive_an_emptied_redis(
    workshop: Workshop, arq_queue: JobQueue, clock: MovableClock
) -> None:
    _, task = await post_run(workshop, arq_queue)
    await workshop.context.process.redis.flushdb()
    clock.advance(seconds=30)

    process = workshop.context.process
    assert await recover_runs(replace(process, queue=arq_queue)) == 1
    await work_until_idle(workshop, arq_queue)

    assert (await latest_run(workshop, task)).status == RunStatus.COMPLETED


async def test_chores_queue_scheduled_runs(workshop: Workshop, arq_queue: JobQueue) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    async with unit_of_work(workshop.sessions) as session:
        times = {"scheduled_at": utcnow(), "dispatch_requested_at": None}
        values = {"status": RunStatus.NOT_STARTED, **times}
        await session.execute(update(Run).where(Run.id == run.id).values(values))
    context = replace(workshop.context, process=with_queue(workshop, arq_queue))

    async def is_queued() -> bool:
        jobs = await workshop.context.process.redis.zcard(QUEUE_NAME)
        return jobs == 1 and (await workshop.read(run)).status == RunStatus.QUEUED

    async with working("chores", create_chores_worker(context)):
        # Within five seconds by the clock.
        await eventually(is_queued)

    await work_until_idle(workshop, arq_queue)
    assert (await workshop.read(run)).status == RunStatus.COMPLETED


async def test_run_of_a_lost_worker_is_recovered_while_other_runs_hold_all_slots(
    workshop: Workshop, arq_queue: JobQueue
) -> None:
    """Regression: the sweep waited for a slot of a run, so with long runs nothing was recovered for hours."""
    process = with_queue(workshop, arq_queue)
    narrow = process.settings.model_copy(update={"worker_concurrency": 1})
    context = replace(workshop.context, process=replace(process, settings=narrow), slots=RunSlots(0))
    busy = Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state={"mode": "interactive"}))
    await enqueue_run(arq_queue, busy.run.id)
    worker = create_worker(context, handle_signals=False)
    running = asyncio.gather(worker.async_run(), context.changes.listen(), return_exceptions=True)
    try:
        await busy.until_waiting_for("message")
        lost = await workshop.queued_run("```say\nhi\n```")
        async with unit_of_work(workshop.sessions) as session:
            assert await claim(session, owner="lost", events=process.events)
            await session.execute(update(Run).where(Run.id == lost.id).values(lease_expires_at=utcnow()))

        async def has_status(run: Run, status: RunStatus) -> bool:
            return (await workshop.read(run)).status == status

        chores = create_chores_worker(context)
        for job in chores.cron_jobs:
            job.run_at_startup = True  # instead of at the next ten seconds
        working = asyncio.create_task(chores.async_run())
        await eventually(lambda: has_status(lost, RunStatus.QUEUED))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await chores.close()

        assert await has_status(busy.run, RunStatus.IN_PROGRESS)
        await busy.send("close")
        await eventually(lambda: has_status(lost, RunStatus.COMPLETED))
    finally:
        running.cancel()
        await worker.close()
        await asyncio.gather(running, return_exceptions=True)


async def test_worker_reports_its_room_and_what_its_own_sandbox_cannot_hold(workshop: Workshop) -> None:
    """Regression: settings alone were asked, which `auto` says nothing of. A stopping worker has no room."""
    redis = workshop.context.process.redis
    worker = create_worker(workshop.context, handle_signals=False)
    assert workshop.context.process.settings.agent_sandbox is SandboxKind.AUTO
    for kind, count in ((SandboxKind.BUBBLEWRAP, 0), (SandboxKind.LANDLOCK, 1)):
        sandbox = replace(workshop.context.sandbox, kind=kind)
        async with reporting(replace(workshop.context, sandbox=sandbox), worker):
            [report] = await read_reports(redis)
        assert [f"'{kind}'" in warning for warning in report["warnings"]] == [True] * count
        assert report["slots"] == workshop.context.process.settings.worker_concurrency
    worker.allow_pick_jobs = False
    async with reporting(workshop.context, worker):
        assert [report["slots"] for report in await read_reports(redis)] == [0]
    await worker.close()
    assert await read_reports(redis) == []


async def test_parts_of_a_worker_stop_side_by_side(workshop: Workshop) -> None:
    """Regression: each had its 20 seconds after the one before it, and the worker was killed meanwhile."""
    # Each waits until all others stop too.
    stopping = asyncio.Barrier(4)

    @asynccontextmanager
    async def part() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await stopping.wait()

    async def close_worker() -> None:
        await stopping.wait()

    parts = [part() for _ in range(3)]
    async with (
        asyncio.timeout(patient(60)),
        create_guarded_client(AddressPolicy(())) as http,
        looping(workshop.context, WebhookClient(http), *parts, close_worker=close_worker),
    ):
        await next_round()
    assert stopping.n_waiting == 0


async def test_part_that_fails_ends_its_worker(workshop: Workshop) -> None:
    """Regression: nothing was logged before the stop, and the worker went on without its chores, checks or scans."""
    has_closed = asyncio.Event()

    @asynccontextmanager
    async def part() -> AsyncGenerator[None, None]:
        raise LookupError("planted")
        yield

    async def close_worker() -> None:
        has_closed.set()

    with pytest.RaisesGroup(LookupError):
        async with (
            asyncio.timeout(patient(60)),
            create_guarded_client(AddressPolicy(())) as http,
            looping(workshop.context, WebhookClient(http), part(), close_worker=close_worker),
        ):
            await asyncio.Event().wait()
    assert has_closed.is_set()
