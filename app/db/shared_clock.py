"""Synchronise the time of this process with that of the database (app/clock.py, ADR 45)."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import Reading, adopt, machine_skew
from app.coroutines.periodic import repeating
from app.db import SessionFactory, unit_of_work

# The largest skew of the machine's clock, whose time is in S3 signatures: stores refuse a skew of 15 minutes.
MAX_SKEW = timedelta(minutes=5)
_WORTH_A_WARNING = timedelta(seconds=5)
_EVERY_SECONDS = 30.0
# Several, because the first one includes the time to connect.
_READINGS = 3

log = structlog.get_logger(__name__)


class ClockSkewed(Exception):
    """Raised if the clocks of this machine and of the database are too far apart."""


async def synchronise(sessions: SessionFactory) -> None:
    """Read the database's clock. From then on, `app.clock.utcnow` returns the database's time."""
    async with unit_of_work(sessions) as session:
        readings = [await _read(session) for _ in range(_READINGS)]
    adopt(min(readings, key=lambda reading: reading.error))


async def _read(session: AsyncSession) -> Reading:
    asked = time.monotonic()
    instant = await session.scalar(text("SELECT clock_timestamp()"))
    answered = time.monotonic()
    return Reading(instant, (asked + answered) / 2, timedelta(seconds=(answered - asked) / 2))


async def require_machine_time(sessions: SessionFactory, *, max_skew: timedelta = MAX_SKEW) -> None:
    """Make `utcnow` return the database's time. Raises ClockSkewed if the machine's, used in signatures, differs."""
    await synchronise(sessions)
    skew = machine_skew()
    if abs(skew) > max_skew:
        raise ClockSkewed(
            f"the clock of this machine is {_apart(skew)} that of the database; at most "
            f"{max_skew.total_seconds():.0f} s are allowed: synchronise both (NTP)"
        )
    if abs(skew) > _WORTH_A_WARNING:
        log.warning("clock.skewed", machine=f"{_apart(skew)} the database")


@asynccontextmanager
async def keep_synchronised(
    sessions: SessionFactory, *, seconds: float = _EVERY_SECONDS, max_skew: timedelta = MAX_SKEW
) -> AsyncGenerator[None, None]:
    """Synchronise with the database's clock now, and repeatedly until the block ends."""
    await synchronise(sessions)
    async with repeating(seconds, partial(_keep, sessions, max_skew), event="clock.not_synchronised"):
        yield


async def _keep(sessions: SessionFactory, max_skew: timedelta) -> None:
    await synchronise(sessions)
    if abs(skew := machine_skew()) > max_skew:
        log.error("clock.skewed", machine=f"{_apart(skew)} the database")


def _apart(skew: timedelta) -> str:
    seconds = skew.total_seconds()
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
