"""A worker to measure, plain arq or the service's own: `python -m bench.polling_worker arq|ours`.

Both perform `note`, which reports how long it was on its way, and `hold`, which stays in progress as a run
does.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Final, cast

from arq.connections import ArqRedis
from arq.worker import Worker, func

from app.clients.queue import ArqQueue, decode_job, encode_job
from app.clients.redis import create_pool, create_redis
from app.clients.wakes import WakeListener
from app.config import Settings
from app.worker.polling import RunWorker
from app.worker.slots import RunSlots

QUEUES: Final = {"arq": "bench:arq", "ours": "bench:ours"}
LATENCIES: Final = {"arq": "bench:latencies:arq", "ours": "bench:latencies:ours"}

_SLOTS: Final = 100


async def _run(who: str) -> None:
    settings = Settings()
    redis = create_redis(settings.redis_url)
    queue = ArqQueue(settings.redis_url)

    async def note(ctx: Mapping[str, Any], *, sent: float) -> None:  # noqa: ARG001 - arq's signature
        await cast("Awaitable[int]", redis.rpush(LATENCIES[who], time.time() - sent))

    async def hold(ctx: Mapping[str, Any]) -> None:
        if who == "ours":
            await queue.remove(job_id=ctx["job_id"], queue_name=QUEUES[who])
        await asyncio.Event().wait()

    options: dict[str, Any] = {
        "functions": [func(note, name="note"), func(hold, name="hold", timeout=3600)],
        "redis_pool": ArqRedis(
            connection_pool=create_pool(settings.redis_url),
            job_serializer=encode_job,
            job_deserializer=decode_job,
            default_queue_name=QUEUES[who],
        ),
        "queue_name": QUEUES[who],
        "job_serializer": encode_job,
        "job_deserializer": decode_job,
        "max_jobs": _SLOTS,
        "keep_result": 0,
    }
    if who == "arq":
        await Worker(**options).async_run()
        return
    changes = WakeListener(redis)
    listening = asyncio.create_task(changes.listen())
    try:
        await RunWorker(changes=changes, self_removing="hold", slots=RunSlots(0), **options).async_run()
    finally:
        # arq ends itself on SIGTERM, and nothing else.
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1]))
