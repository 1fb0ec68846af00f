"""Promises of every job queue, so that the recording one of the tests cannot drift from the real one."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import UUID

import pytest
from arq.connections import ArqRedis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.clients.job_queue import QUEUE_NAME, JobQueue, decode_job
from app.clients.redis import RedisClient
from app.config import Settings
from tests.support.deployment.processes import closed_port
from tests.support.stand_ins.fakes import QueuedJob, RecordingQueue

ReadJobs = Callable[[], Awaitable[list[QueuedJob]]]


@pytest.fixture(params=["recording", "arq"])
async def queue_and_reader(
    request: pytest.FixtureRequest, settings: Settings, redis: RedisClient
) -> AsyncGenerator[tuple[JobQueue, ReadJobs], None]:
    """A queue, and a function that lists its jobs, oldest first."""
    if request.param == "recording":
        recording = RecordingQueue()

        async def recorded() -> list[QueuedJob]:
            return recording.jobs

        yield recording, recorded
        return
    queue = JobQueue(settings.redis_url)

    async def in_redis() -> list[QueuedJob]:
        reader = ArqRedis(redis.connection_pool, job_deserializer=decode_job, default_queue_name=QUEUE_NAME)
        jobs = await reader.queued_jobs()
        return [QueuedJob(job.function, str(job.job_id), job.kwargs) for job in jobs]

    yield queue, in_redis
    await queue.aclose()


@pytest.fixture
def queue(queue_and_reader: tuple[JobQueue, ReadJobs]) -> JobQueue:
    return queue_and_reader[0]


@pytest.fixture
def queued(queue_and_reader: tuple[JobQueue, ReadJobs]) -> ReadJobs:
    return queue_and_reader[1]


class TestEveryQueue:
    async def test_keeps_a_job_with_its_arguments(self, queue: JobQueue, queued: ReadJobs) -> None:
        arguments = {"run_id": "r1", "attempt": 2, "urgent": True, "labels": ["a"], "nothing": None}
        assert await queue.enqueue("execute_run", job_id="execute_run:r1", arguments=arguments) is True
        assert await queued() == [QueuedJob("execute_run", "execute_run:r1", arguments)]

    async def test_asking_twice_is_asking_once(self, queue: JobQueue, queued: ReadJobs) -> None:
        assert await queue.enqueue("execute_run", job_id="a", arguments={"run_id": "first"}) is True
        assert await queue.enqueue("execute_run", job_id="a", arguments={"run_id": "second"}) is False
        assert [job.arguments for job in await queued()] == [{"run_id": "first"}]

    async def test_jobs_of_other_ids_are_others(self, queue: JobQueue, queued: ReadJobs) -> None:
        for name in ("a", "b", "c"):
            assert await queue.enqueue("execute_run", job_id=name, arguments={}) is True
        assert [job.job_id for job in await queued()] == ["a", "b", "c"]

    async def test_job_that_was_removed_can_be_enqueued_again(
        self, queue: JobQueue, queued: ReadJobs
    ) -> None:
        # Jobs of one millisecond stand in the order of their names.
        for name in ("b", "a"):
            await queue.enqueue("execute_run", job_id=name, arguments={})
        await queue.remove(job_id="b")
        await queue.remove(job_id="unknown")
        assert [job.job_id for job in await queued()] == ["a"]
        assert await queue.enqueue("execute_run", job_id="b", arguments={}) is True
        assert [job.job_id for job in await queued()] == ["a", "b"]

    async def test_arguments_arrive_as_json_has_them(self, queue: JobQueue, queued: ReadJobs) -> None:
        await queue.enqueue("execute_run", job_id="a", arguments={"run_id": UUID(int=1)})
        assert (await queued())[0].arguments == {"run_id": str(UUID(int=1))}


class TestJobQueue:
    async def test_job_is_json_in_redis(self, settings: Settings, redis: RedisClient) -> None:
        """A client that can write to Redis must not be able to run code in a worker."""
        queue = JobQueue(settings.redis_url)
        await queue.enqueue("execute_run", job_id="a", arguments={"run_id": "r1"})
        await queue.aclose()
        stored = await redis.get("arq:job:a")
        assert decode_job(stored)["k"] == {"run_id": "r1"}
        assert stored.startswith(b"{")

    async def test_queue_that_is_away_fails_in_time(self) -> None:
        queue = JobQueue(f"redis://127.0.0.1:{closed_port()}/0")
        with pytest.raises(RedisConnectionError):
            await queue.enqueue("execute_run", job_id="a", arguments={})
        await queue.aclose()
