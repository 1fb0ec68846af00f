"""The arq workers, which poll their queue when woken, and twice a second in case a wake-up is lost (ADR 4).

Only this file overrides parts of arq's worker, and none that are private in arq.
"""

import asyncio
import signal
from typing import Any

import structlog
from arq.worker import Worker
from typing_extensions import override

from app.clients.wakes import WakeListener
from app.coroutines.periodic import wait
from app.outages import REDIS_ERRORS
from app.services.retrying.policies import LOOP_SECONDS
from app.worker.slots import RunSlots

log = structlog.get_logger(__name__)


class ResilientWorker(Worker):
    """An arq worker that survives outages of Redis, and polls at once when it is woken or a slot becomes free."""

    def __init__(
        self,
        *,
        changes: WakeListener,
        poll_seconds: float = 0.5,
        handle_signals: bool = True,
        **options: Any,
    ) -> None:
        # arq would sleep for this delay after each poll; `heart_beat`, which it calls then, waits instead.
        super().__init__(poll_delay=0, handle_signals=handle_signals, **options)
        self._heeds_signals = handle_signals
        self._changes = changes
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()
        self._ended = 0

    @override
    async def main(self) -> None:
        with self._changes.watch_topic(self.queue_name) as self._woken:
            self._woken.set()
            while True:
                try:
                    return await super().main()
                except REDIS_ERRORS as error:
                    log.warning("worker.redis_unavailable", error=repr(error))
                    _end_if_cancelled()
                    await asyncio.sleep(LOOP_SECONDS)

    @override
    async def heart_beat(self) -> None:
        await super().heart_beat()
        _end_if_cancelled()
        await wait(self._woken, self._poll_seconds)
        # Before the next poll, so that a job queued meanwhile wakes the worker again.
        self._woken.clear()

    @override
    async def close(self) -> None:
        if not self._heeds_signals:
            self.handle_sig(signal.SIGUSR1)
        if self.main_task:
            await asyncio.wait([self.main_task])
        # arq itself stops waiting at the first job that ends as cancelled, and then cancels the others a second time.
        if self.tasks:
            await asyncio.wait(self.tasks.values())
        self.tasks.clear()
        try:
            await super().close()
        except REDIS_ERRORS as error:
            # Only a key that expires by itself is left in Redis.
            log.warning("worker.redis_unavailable", error=repr(error))
            await self.pool.aclose(close_connection_pool=True)

    @override
    async def start_jobs(self, job_ids: list[bytes]) -> None:
        for job_id in job_ids:
            task = self.tasks.get(job_id.decode())
            if task is not None and not task.done():
                continue  # arq would start a second copy and lose track of the first
            taken = self.job_counter + self._ended
            try:
                await super().start_jobs([job_id])
            except REDIS_ERRORS:
                # arq has taken a slot. It has released the slot only if another worker had started the job.
                if self.job_counter + self._ended > taken:
                    self.job_counter -= 1
                    self.sem.release()
                raise
            started = self.tasks.get(job_id.decode())
            if started is not None and started is not task:
                # Called after arq has released the slot of the job.
                started.add_done_callback(self._note_end)
                if _is_cancelled():
                    started.cancel()

    def _note_end(self, _: object) -> None:
        self._ended += 1
        self._woken.set()


def _end_if_cancelled() -> None:
    if _is_cancelled():
        raise asyncio.CancelledError


def _is_cancelled() -> bool:
    # A cancellation may get lost in what was awaited: `asyncio.wait_for` of Python 3.11 returns a result that is ready
    # at the same moment, and a connection that is closed meanwhile raises its own error.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class RunWorker(ResilientWorker):
    """An arq worker for jobs with ids `self_removing:…`, which remove themselves from the queue when they begin.

    `slots` counts runs that wait for a person and give their slots to others; `options` are those of arq's worker.
    """

    def __init__(self, *, self_removing: str, slots: RunSlots, **options: Any) -> None:
        super().__init__(**options)
        self._self_removing = f"{self_removing}:"
        self._slots = slots
        self._own_slots = self.max_jobs
        # `job_counter` limits the jobs; arq's semaphore only needs to be large enough.
        self.sem = asyncio.BoundedSemaphore(self.max_jobs + slots.limit + 1)
        slots.notify(self._count_slots)

    def _count_slots(self) -> None:
        self.max_jobs = self._own_slots + self._slots.freed
        self._woken.set()

    @override
    async def finish_job(self, job_id: str, finish: bool, *details: Any) -> None:
        # By now the queue may have a new job with the same id, which must stay there.
        await super().finish_job(job_id, finish and not job_id.startswith(self._self_removing), *details)
