"""One clock for all processes: that of the database, carried on by each (ADR 45)."""

import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.clock import Reading, adopt, machine_skew, utcnow
from app.db import SessionFactory
from app.db.shared_clock import ClockSkewed, keep_synchronised, require_machine_time, synchronise
from tests.support.database.faults import replacing
from tests.support.waiting import eventually

CLOSE = timedelta(seconds=5)
# Less than any two clocks are apart.
NONE = timedelta(microseconds=-1)


@pytest.fixture(autouse=True)
def own_reading() -> Generator[None, None, None]:
    yield
    adopt(None)


def reading(ahead: timedelta, error: timedelta = timedelta(0)) -> Reading:
    return Reading(datetime.now(UTC) + ahead, time.monotonic(), error)


def test_time_is_that_of_the_reading_and_goes_on() -> None:
    adopt(reading(timedelta(hours=3)))
    first = utcnow()
    assert abs(first - datetime.now(UTC) - timedelta(hours=3)) < CLOSE
    assert utcnow() >= first
    assert abs(machine_skew() + timedelta(hours=3)) < CLOSE


def test_reading_that_agrees_within_its_error_changes_nothing() -> None:
    adopt(reading(timedelta(hours=1)))
    adopt(reading(timedelta(hours=2), error=timedelta(hours=1, seconds=10)))
    assert utcnow() - datetime.now(UTC) < timedelta(hours=1, seconds=5)


def test_reading_that_disagrees_is_taken() -> None:
    adopt(reading(timedelta(hours=1)))
    adopt(reading(timedelta(hours=2), error=timedelta(minutes=1)))
    assert utcnow() - datetime.now(UTC) > timedelta(hours=1, minutes=59)


async def test_process_goes_by_the_clock_of_the_database(sessions: SessionFactory) -> None:
    adopt(reading(timedelta(days=1)))
    await synchronise(sessions)
    assert abs(utcnow() - datetime.now(UTC)) < CLOSE


@pytest.mark.parametrize(
    ("fault", "level"),
    [("SELECT pg_terminate_backend(pg_backend_pid())", "WARNING"), ("SELECT 1 / 0", "ERROR")],
)
async def test_process_goes_by_the_clock_of_the_database_again_after_a_fault(
    engine: AsyncEngine, sessions: SessionFactory, caplog: pytest.LogCaptureFixture, fault: str, level: str
) -> None:
    async with keep_synchronised(sessions, seconds=0.01):
        with replacing(engine, "clock_timestamp", fault):
            await eventually(lambda: "clock.not_synchronised" in caplog.text)
            adopt(reading(timedelta(days=1)))
        await eventually(lambda: abs(utcnow() - datetime.now(UTC)) < CLOSE)

    failed = [record for record in caplog.records if "clock.not_synchronised" in record.message]
    assert {record.levelname for record in failed} == {level}


async def test_clock_that_drifts_off_while_the_process_runs_is_logged(
    sessions: SessionFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async with keep_synchronised(sessions, seconds=0.01, max_skew=NONE):
        await eventually(lambda: "clock.skewed" in caplog.text)

    assert {record.levelname for record in caplog.records if "clock.skewed" in record.message} == {"ERROR"}


async def test_machine_with_a_clock_that_is_off_is_refused(sessions: SessionFactory) -> None:
    await require_machine_time(sessions)
    with pytest.raises(ClockSkewed, match=r"at most -0 s .*NTP"):
        await require_machine_time(sessions, max_skew=NONE)
