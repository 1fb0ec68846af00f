"""How a worker looks for jobs: when it is woken and, should that word be lost, twice a second (ADR 0023).

What arq itself does beyond that is left alone. It knows neither what a job does nor what a run is.
"""

import asyncio
import signal
from contextlib import suppress
from typing import Any

import structlog
from arq.constants import in_progress_key_prefix
from arq.utils import timestamp_ms
from arq.worker import Worker
from redis.exceptions import RedisError
from typing_extensions import override

from app.clients.run_changes import RunChanges
from app.worker.slots import Places

__all__ = ["ResilientWorker", "RunWorker"]

_POLL_SECONDS = 0.5
_OUTAGE_PAUSE_SECONDS = 2.0

log = structlog.get_logger(__name__)


class ResilientWorker(Worker):
    """An arq worker that outlives an outage of Redis, and looks at its queue at once when there is something to do.

    There is something to do when a job was queued, and when one ended that kept the others waiting. Any number of
    wake-ups between two looks is one.
    """

    def __init__(self, *, changes: RunChanges, **options: Any) -> None:
        # arq would sleep for this time after each look, whatever happens; `_poll_iteration` does the waiting.
        super().__init__(poll_delay=0, **options)
        self._changes = changes
        self._woken = asyncio.Event()

    @override
    async def main(self) -> None:
        with self._changes.watch_queue(self.queue_name) as self._woken:
            self._woken.set()
            await super().main()

    @override
    async def _poll_iteration(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._woken.wait()
        # Before the look: what is queued meanwhile wakes again.
        self._woken.clear()
        try:
            await super()._poll_iteration()
        except (RedisError, OSError) as error:
            log.warning("worker.redis_unavailable", error=repr(error))
            await asyncio.sleep(_OUTAGE_PAUSE_SECONDS)

    @override
    async def close(self) -> None:
        if not self._handle_signals:
            self.handle_sig(signal.SIGUSR1)
        # arq would go at the first job that ends as cancelled, while others wait for answers. Its gather would also
        # cancel them once more if it is given up, and from Python 3.12 on wait for those that finish what they do.
        if self.tasks:
            await asyncio.wait(self.tasks.values())
        self.tasks.clear()
        await super().close()

    @override
    async def start_jobs(self, job_ids: list[bytes]) -> None:
        # arq asks Redis four times about each job that it finds. Once will do, and not at all for those that are being
        # done here.
        for job_id in (id_.decode() for id_ in job_ids):
            if self._is_doing(job_id):
                continue
            await self.sem.acquire()
            if self.job_counter >= self.max_jobs:
                self.sem.release()
                return
            self.job_counter += 1
            score = None
            try:
                score = await self._take(job_id)
            finally:
                if score is None:
                    self.job_counter -= 1
                    self.sem.release()
            if score is not None:
                job = self.loop.create_task(self.run_job(job_id, int(score)))
                job.add_done_callback(lambda _: self._release_sem_dec_counter_on_complete())
                self.tasks[job_id] = job

    async def _take(self, job_id: str) -> float | None:
        """Keep other workers away from a job that is due, and return its time; None if it is not ours to do."""
        key = in_progress_key_prefix + job_id
        async with self.pool.pipeline(transaction=True) as pipe:
            pipe.set(key, b"1", nx=True, px=int(self.in_progress_timeout_s * 1000))
            pipe.zscore(self.queue_name, job_id)
            is_taken, score = await pipe.execute()
        if not is_taken:
            return None
        if score is None or score > timestamp_ms():
            # Done meanwhile, or put off by another worker.
            await self.pool.delete(key)
            return None
        return float(score)

    def _is_doing(self, job_id: str) -> bool:
        task = self.tasks.get(job_id)
        return task is not None and not task.done()

    @override
    def _release_sem_dec_counter_on_complete(self) -> None:
        super()._release_sem_dec_counter_on_complete()
        self._woken.set()


class RunWorker(ResilientWorker):
    """The worker of runs, whose jobs take themselves off the queue when they begin (jobs/execute_run.py)."""

    def __init__(self, *, withdrawn: str, places: Places, **options: Any) -> None:
        super().__init__(**options)
        self._withdrawn = f"{withdrawn}:"
        self._places = places
        self._own_places = self.max_jobs
        # Only a second guard of what `job_counter` says; one more than there are jobs at most, as arq has it.
        self.sem = asyncio.BoundedSemaphore(self.max_jobs + places.limit + 1)
        places.notify(self._count_places)

    def _count_places(self) -> None:
        self.max_jobs = self._own_places + self._places.left
        self._woken.set()

    @override
    async def finish_job(self, job_id: str, finish: bool, *details: Any) -> None:
        # By now the queue may hold a job of the same id again, for somebody who asked while this one was ending.
        await super().finish_job(job_id, finish and not job_id.startswith(self._withdrawn), *details)
