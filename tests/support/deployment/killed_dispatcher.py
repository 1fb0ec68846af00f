"""A dispatcher of pushes that kills itself at a step, in a process of its own.

Each is forked from one process that has loaded the service and done nothing else: loading takes longer than
the test.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from app.clock import set_clock
from app.config import Settings
from app.runtime import open_process
from app.services.notifications import digests, push_claims, push_delivery, push_receipts
from app.services.retrying import due_rows
from app.worker.jobs.fetch_receipts import fetch_due
from app.worker.loops import pushes
from app.worker.loops.pushes import release_held
from tests.support.waiting import eventually

APPLICATION_NAME = "dispatcher"


class _Place(NamedTuple):
    """A function of the service, and whether the process dies when it is called or when it has returned."""

    module: ModuleType
    function: str
    is_before: bool = False


class Step(Enum):
    """A step of a dispatcher of pushes at which it kills itself."""

    # Not committed, then committed.
    DIGEST_MADE = _Place(digests, "release_held")
    DIGEST_KEPT = _Place(push_claims, "claim_due", is_before=True)
    DECIDED = _Place(push_claims, "claim_due")
    CLAIMED = _Place(push_delivery, "send", is_before=True)
    SENT = _Place(push_delivery, "send")
    SETTLING = _Place(push_delivery, "settle")
    SETTLED = _Place(due_rows, "in_transaction")
    RECEIPTS_CLAIMED = _Place(push_receipts, "claim_receipts")
    RECEIPTS_READ = _Place(push_receipts, "settle_receipts", is_before=True)
    RECEIPTS_SETTLING = _Place(push_receipts, "settle_receipts")


def _deadly(function: Callable[..., Awaitable[Any]], *, is_before: bool) -> Callable[..., Awaitable[Any]]:
    async def deadly(*args: Any, **options: Any) -> Any:
        if not is_before:
            await function(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return deadly


async def _dispatch(settings: Settings) -> None:
    async with open_process(settings, name=APPLICATION_NAME) as process:
        await release_held(process)
        await pushes.deliver_due(process)
        await fetch_due(process)


def _main(step: str, now: datetime, settings: Settings, log: Path) -> None:
    """Deliver what is due at `now`, and fetch receipts, until the process dies at a step; output goes to `log`."""
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    set_clock(lambda: now)
    place: _Place = Step[step].value
    deadly = _deadly(getattr(place.module, place.function), is_before=place.is_before)
    setattr(place.module, place.function, deadly)
    asyncio.run(_dispatch(settings))


_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload([__name__])


async def kill_at(step: Step, now: datetime, *, settings: Settings, log: Path) -> None:
    """Start a dispatcher, and return when it has died at `step`."""
    process = _FORKING.Process(target=_main, args=(step.name, now, settings, log))
    process.start()
    try:
        await eventually(lambda: process.exitcode is not None, within_seconds=120)
        assert process.exitcode == -signal.SIGKILL, await asyncio.to_thread(log.read_text)
    finally:
        process.kill()
        process.join()
        process.close()
