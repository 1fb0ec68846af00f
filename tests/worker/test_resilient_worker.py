"""Workers look for jobs at once when woken, and do not ask for jobs that they perform already."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import arq
import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from arq.worker import func
from redis.asyncio.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from typing_extensions import override

from app.clients.job_queue import JobQueue, decode_job, encode_job
from app.clients.redis import RedisClient, create_pool
from app.clients.wakes import WakeListener, wake
from app.config import Settings
from app.coroutines.shielded import shielded
from app.enums import RunStatus
from app.services.enqueueing import enqueue_run
from app.services.retrying.policies import LOOP_SECONDS
from app.worker.job_table import create_worker
from app.worker.resilient_worker import ResilientWorker, RunWorker
from app.worker.slots import RunSlots
from tests.fixtures.worker import Workshop
from tests.support.waiting import eventually, next_round
from tests.worker.pilot import Pilot

QUEUE = "tests:polling"


def arq_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments that make an arq worker read the queue of these tests."""
    return {
        "redis_pool": ArqRedis(
            connection_pool=create_pool(settings.redis_url),
            job_serializer=encode_job,
            job_deserializer=decode_job,
            default_queue_name=QUEUE,
        ),
        "queue_name": QUEUE,
        "job_serializer": encode_job,
        "job_deserializer": decode_job,
        "keep_result": 0,
        "handle_signals": False,
    }


class Worker:
    """A worker with jobs that take themselves off the queue and wait until they are let go."""

    def __init__(
        self,
        settings: Settings,
        redis: RedisClient,
        queue: JobQueue,
        *,
        slots: int,
        poll_seconds: float = 0.5,
    ) -> None:
        self.started: list[str] = []
        self.let_go = asyncio.Event()
        self._changes = WakeListener(redis, pause=LOOP_SECONDS)
        self._redis = redis
        self._queue = queue
        self.arq = RunWorker(
            changes=self._changes,
            self_removing="hold",
            slots=RunSlots(0),
            functions=[func(self._hold, name="hold")],
            max_jobs=slots,
            poll_seconds=poll_seconds,
            **arq_options(settings),
        )

    async def _hold(self, ctx: Mapping[str, Any]) -> None:
        await self._queue.remove(job_id=ctx["job_id"], queue_name=QUEUE)
        self.started.append(ctx["job_id"])
        await self.let_go.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._changes.listen())
            group.create_task(self.arq.async_run())

    async def until_idle(self) -> None:
        """Return once the worker listens."""
        with self._changes.watch_topic("tests:polling:heard") as heard:

            async def hears() -> bool:
                await wake(self._redis, "tests:polling:heard")
                return heard.is_set()

            await eventually(hears)

    async def until_started(self, *job_ids: str) -> None:
        async def started() -> bool:
            return self.started == list(job_ids)

        await eventually(started)


@pytest.fixture
async def queue(settings: Settings, redis: RedisClient) -> AsyncGenerator[JobQueue, None]:
    assert redis
    queue = JobQueue(settings.redis_url)
    yield queue
    await queue.aclose()


@pytest.fixture
async def worker(settings: Settings, redis: RedisClient, queue: JobQueue) -> AsyncGenerator[Worker, None]:
    """A worker with one place that would look by itself only in an hour."""
    worker = Worker(settings, redis, queue, slots=1, poll_seconds=3600)
    running = asyncio.create_task(worker.run())
    await worker.until_idle()
    yield worker
    await worker.arq.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def until_jobs_ended(worker: arq.Worker) -> None:
    """Return once arq has noted the end of each job, which it does after the run is over."""

    async def ended() -> bool:
        return all(job.done() for job in worker.tasks.values())

    await eventually(ended)


async def enqueue(queue: JobQueue, job_id: str) -> None:
    assert await queue.enqueue("hold", job_id=job_id, arguments={}, queue_name=QUEUE)


async def test_queued_job_begins_without_waiting_for_the_poll(worker: Worker, queue: JobQueue) -> None:
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")


async def test_end_of_a_job_lets_the_next_begin(worker: Worker, queue: JobQueue) -> None:
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")
    await enqueue(queue, "hold:2")
    worker.let_go.set()
    await worker.until_started("hold:1", "hold:2")


async def test_job_that_was_asked_for_again_while_it_was_ending_begins_again(
    worker: Worker, queue: JobQueue
) -> None:
    """The end of the first job must not take the new one with it."""
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")
    await enqueue(queue, "hold:1")
    worker.let_go.set()
    await worker.until_started("hold:1", "hold:1")


async def test_job_that_another_worker_has_begun_is_left_and_takes_no_place(
    worker: Worker, queue: JobQueue, redis: RedisClient
) -> None:
    await redis.set(f"{in_progress_key_prefix}hold:1", b"1")
    await enqueue(queue, "hold:1")
    await enqueue(queue, "hold:2")
    await worker.until_started("hold:2")
    assert await redis.exists(f"{in_progress_key_prefix}hold:1", f"{in_progress_key_prefix}hold:2") == 2


async def test_job_that_is_not_due_is_not_kept_from_others(
    worker: Worker, queue: JobQueue, redis: RedisClient
) -> None:
    """The job was in the queue when this worker looked, and is put off, or done, when it would take it."""
    await worker.arq.start_jobs([b"hold:gone"])
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")
    assert not await redis.exists(f"{in_progress_key_prefix}hold:gone")


async def test_start_that_fails_keeps_no_slot(worker: Worker, queue: JobQueue, redis: RedisClient) -> None:
    await redis.set(QUEUE, "not a queue")
    for _ in range(3):
        with pytest.raises(RedisError):
            await worker.arq.start_jobs([b"hold:1"])
    await redis.delete(QUEUE)
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")


async def test_start_of_a_job_that_is_taken_frees_one_slot_though_leaving_the_pipeline_fails(
    worker: Worker, queue: JobQueue, redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the slot was freed twice. The worker ended, or performed a job more than it may."""

    class Leaving(Pipeline):
        @override
        async def reset(self) -> None:
            await super().reset()  # type: ignore[no-untyped-call] # of redis
            raise RedisTimeoutError("Timeout reading from socket")

    def pipeline(*, transaction: bool) -> Pipeline:
        pool = worker.arq.pool
        return Leaving(pool.connection_pool, pool.response_callbacks, transaction, None)

    await redis.set(f"{in_progress_key_prefix}hold:taken", b"1")
    with monkeypatch.context() as patched:
        patched.setattr(worker.arq.pool, "pipeline", pipeline)
        with pytest.raises(RedisTimeoutError):
            await worker.arq.start_jobs([b"hold:taken"])

    assert worker.arq.job_counter == 0
    await enqueue(queue, "hold:1")
    await worker.until_started("hold:1")


async def test_wake_up_that_was_lost_costs_one_poll(
    settings: Settings, redis: RedisClient, queue: JobQueue
) -> None:
    """No worker listens here."""
    worker = Worker(settings, redis, queue, slots=1)
    running = asyncio.create_task(worker.arq.async_run())
    try:
        await enqueue(queue, "hold:1")
        await worker.until_started("hold:1")
    finally:
        await worker.arq.close()
        await asyncio.gather(running, return_exceptions=True)


async def test_run_that_waits_for_a_person_keeps_no_other_waiting(
    workshop: Workshop, settings: Settings
) -> None:
    """A worker with one place: who waits leaves it, and who comes back does not have to wait for it."""
    state = {"mode": "interactive"}
    idle, other, behind = [
        Pilot(workshop, await workshop.queued_run("```say\nhi\n```", state=state)) for _ in range(3)
    ]
    queue = JobQueue(settings.redis_url)
    process = workshop.context.process
    narrow = process.settings.model_copy(update={"worker_concurrency": 1})
    slots = RunSlots(1)
    context = replace(workshop.context, process=replace(process, settings=narrow, queue=queue), slots=slots)
    for pilot in (idle, other, behind):
        await enqueue_run(queue, pilot.run.id)
    worker = create_worker(context, handle_signals=False)
    running = asyncio.gather(worker.async_run(), context.changes.listen(), return_exceptions=True)
    try:
        await idle.until_waiting_for("message")
        await other.until_waiting_for("message")
        # One place is left at most, however many wait.
        assert (slots.freed, (await workshop.read(behind.run)).status) == (1, RunStatus.QUEUED)
        await idle.say("```say\nagain\n```")
        await idle.until_waiting_for("message")
        await idle.send("close")
        await behind.until_waiting_for("message")
        for pilot in (other, behind):
            await pilot.send("close")

        async def all_over() -> bool:
            runs = [await workshop.read(pilot.run) for pilot in (idle, other, behind)]
            return all(run.status == RunStatus.COMPLETED for run in runs)

        await eventually(all_over)
        await until_jobs_ended(worker)
        assert slots.freed == 0
    finally:
        running.cancel()
        await worker.close()
        await asyncio.gather(running, return_exceptions=True)
        await queue.aclose()


async def test_run_that_a_limit_kept_waiting_begins_when_another_ends(
    workshop: Workshop, settings: Settings
) -> None:
    """One job comes too early and finds no room; the end of the run before asks for another."""
    runs = [await workshop.queued_run("```say\nhi\n```") for _ in range(3)]
    queue = JobQueue(settings.redis_url)
    process = workshop.context.process
    limited = process.settings.model_copy(update={"project_concurrency": 1, "worker_concurrency": 3})
    context = replace(workshop.context, process=replace(process, settings=limited, queue=queue))
    for run in runs:
        await enqueue_run(queue, run.id)
    worker = create_worker(context, handle_signals=False)
    running = asyncio.create_task(worker.async_run())

    async def all_over() -> bool:
        return all([(await workshop.read(run)).status == RunStatus.COMPLETED for run in runs])

    try:
        await eventually(all_over)
        await until_jobs_ended(worker)
    finally:
        await worker.close()
        await asyncio.gather(running, return_exceptions=True)
        await queue.aclose()
    ends = [(await workshop.read(run)).completed_at for run in runs]
    assert ends == sorted(end for end in ends if end is not None)


async def test_stopping_ends_a_job_that_the_last_poll_starts(
    worker: Worker, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the job began once its worker was closed, and failed, or went on without it."""
    starting = asyncio.Event()

    class Answered(Pipeline):
        @override
        async def execute(self, raise_on_error: bool = True) -> list[Any]:
            starting.set()
            # `asyncio.wait_for` of Python 3.11 loses a cancellation that comes with the answer.
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return await super().execute(raise_on_error)

    def pipeline(*, transaction: bool) -> Pipeline:
        monkeypatch.undo()
        pool = worker.arq.pool
        return Answered(pool.connection_pool, pool.response_callbacks, transaction, None)

    monkeypatch.setattr(worker.arq.pool, "pipeline", pipeline)
    before = asyncio.all_tasks()
    await enqueue(queue, "hold:1")
    await starting.wait()
    await worker.arq.close()

    assert asyncio.all_tasks() <= before
    assert worker.started == []


async def test_stopping_waits_for_each_job_and_gives_up_without_cancelling_it_again(
    settings: Settings, redis: RedisClient, queue: JobQueue
) -> None:
    """A job that ended as cancelled was enough for the worker to go, while others waited for answers."""
    begun: set[str] = set()
    cancelled: list[str] = []
    finished: list[str] = []
    answer = asyncio.Event()

    async def begin(ctx: Mapping[str, Any]) -> None:
        begun.add(ctx["job_id"])
        if ctx["job_id"] == "hold:cancelled":
            # What is cancelled before its work begins ends so; arq catches it only later.
            await asyncio.Event().wait()

    async def hold(ctx: Mapping[str, Any]) -> None:
        async def finish() -> None:
            await answer.wait()
            finished.append(ctx["job_id"])

        await shielded(finish(), on_cancel=lambda: cancelled.append(ctx["job_id"]))

    async def are_begun() -> bool:
        return begun == {"hold:cancelled", "hold:waiting"}

    worker = ResilientWorker(
        changes=WakeListener(redis, pause=LOOP_SECONDS),
        functions=[func(hold, name="hold")],
        on_job_start=begin,
        **arq_options(settings),
    )
    running = asyncio.create_task(worker.async_run())
    await enqueue(queue, "hold:cancelled")
    await enqueue(queue, "hold:waiting")
    await eventually(are_begun)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.close()
    assert not worker.tasks["hold:waiting"].done()
    answer.set()
    await asyncio.wait(worker.tasks.values())
    await worker.close()

    assert (cancelled, finished) == (["hold:waiting"], ["hold:waiting"])
    await asyncio.gather(running, return_exceptions=True)


async def test_poll_that_is_stopped_is_not_cancelled_again_while_it_gives_back_its_connection(
    settings: Settings, redis: RedisClient
) -> None:
    """Regression: the connection of a poll that was stopped was lost, if a job had just ended."""
    is_polling, gives_back, is_given_back = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Polling(ResilientWorker):
        @override
        async def heart_beat(self) -> None:
            is_polling.set()
            try:
                await asyncio.Event().wait()
            finally:
                await gives_back.wait()
                is_given_back.set()

    async def work(ctx: Mapping[str, Any]) -> None:
        assert ctx

    worker = Polling(
        changes=WakeListener(redis, pause=LOOP_SECONDS),
        functions=[func(work, name="work")],
        **arq_options(settings),
    )
    running = asyncio.create_task(worker.async_run())
    await is_polling.wait()
    worker.tasks["work:1"] = ended = asyncio.create_task(work({"job_id": "work:1"}))
    await ended
    closing = asyncio.create_task(worker.close())
    for _ in range(10):
        await next_round()
    gives_back.set()
    await closing
    await asyncio.wait([running])

    assert is_given_back.is_set()


async def test_worker_stops_though_an_error_of_redis_takes_the_place_of_the_cancellation(
    settings: Settings, redis: RedisClient
) -> None:
    """Regression: it polled on without its connections, and its process did not end."""
    is_polling = asyncio.Event()

    class Deaf(ResilientWorker):
        @override
        async def heart_beat(self) -> None:
            is_polling.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise RedisConnectionError("Connection closed by server.") from None

    async def work(ctx: Mapping[str, Any]) -> None:
        assert ctx

    worker = Deaf(
        changes=WakeListener(redis, pause=LOOP_SECONDS),
        functions=[func(work, name="work")],
        **arq_options(settings),
    )
    running = asyncio.create_task(worker.async_run())
    await is_polling.wait()
    running.cancel()
    await worker.close()
    await asyncio.wait([running], timeout=10)

    assert running.cancelled()


class LateWorker(ResilientWorker):
    """A worker whose poll ends with its result though it was cancelled, as a time limit that ends just then does."""

    polls: asyncio.Event

    @override
    async def start_jobs(self, job_ids: list[bytes]) -> None:
        self.polls.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_worker_stops_although_its_poll_takes_the_cancellation_for_its_own_end(
    settings: Settings, redis: RedisClient
) -> None:
    options = arq_options(settings)

    async def hold(ctx: Mapping[str, Any]) -> None: ...

    worker = LateWorker(
        changes=WakeListener(redis, pause=LOOP_SECONDS), functions=[func(hold, name="hold")], **options
    )
    worker.polls = asyncio.Event()
    running = asyncio.create_task(worker.async_run())
    await worker.polls.wait()
    async with asyncio.timeout(10):
        await worker.close()
    with pytest.raises(asyncio.CancelledError):
        await running
