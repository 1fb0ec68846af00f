"""Stand-ins for what is outside the service. Queue and events pass the tests of the real ones (tests/clients)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from typing_extensions import override

from app.clients.job_queue import QUEUE_NAME, JobQueue
from app.clients.live_events.run_event_publisher import RunEvents
from app.clients.live_events.run_events import EventKind
from app.services.access.usage_gates import Limit, UsageGate


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job that was put on a recording queue."""

    name: str
    job_id: str
    arguments: dict[str, Any]
    queue_name: str = QUEUE_NAME


class RecordingQueue(JobQueue):
    """A job queue that records the jobs put on it and performs none."""

    def __init__(self) -> None:
        self.jobs: list[QueuedJob] = []

    @override
    async def enqueue(
        self, job: str, *, job_id: str, arguments: Mapping[str, Any], queue_name: str = QUEUE_NAME
    ) -> bool:
        if any(queued.job_id == job_id for queued in self.jobs):
            return False
        # A worker reads arguments as JSON, and so does who looks at them here.
        read = orjson.loads(orjson.dumps(arguments, default=str))
        self.jobs.append(QueuedJob(job, job_id, read, queue_name))
        return True

    @override
    async def remove(self, *, job_id: str, queue_name: str = QUEUE_NAME) -> None:
        self.jobs = [job for job in self.jobs if (job.job_id, job.queue_name) != (job_id, queue_name)]


class RecordingEvents(RunEvents):
    """A publisher of run events that records them."""

    def __init__(self) -> None:
        self.published: list[tuple[UUID, EventKind, Any]] = []

    @override
    def put(self, run_id: UUID, data: bytes, *, kind: EventKind = EventKind.ENTRY) -> None:
        self.published.append((run_id, kind, orjson.loads(data)))

    @override
    async def settle(self) -> None:
        pass


class ScriptedGate(UsageGate):
    """A usage gate that says what a test wants, and keeps what it was asked."""

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit
        self.failure: Exception | None = None
        self.asked: list[tuple[int, int | None]] = []

    @override
    async def exceeded(self, *, project_id: int, user_id: int | None) -> Limit | None:
        self.asked.append((project_id, user_id))
        if self.failure is not None:
            raise self.failure
        return self.limit
