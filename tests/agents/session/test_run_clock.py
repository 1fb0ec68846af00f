"""The limit of a run's work: it counts work, not waiting for people."""

import asyncio
from datetime import timedelta

import pytest

from app.agents.session.run_clock import MAX_WAITING, WorkingTime

SHORT = timedelta(milliseconds=20)
LONG = timedelta(hours=1)


async def forever() -> None:
    await asyncio.Event().wait()


async def test_block_ends_when_its_time_is_up() -> None:
    time = WorkingTime(SHORT)
    with pytest.raises(TimeoutError):
        async with time:
            await forever()
    assert time.is_over


async def test_block_ends_on_request_even_while_it_waits_for_a_person() -> None:
    time = WorkingTime(LONG)

    async def work() -> None:
        async with time:
            with time.pause(LONG):
                time.end()
                await forever()

    with pytest.raises(TimeoutError):
        await work()
    assert time.is_over


async def test_time_stands_still_while_a_person_is_waited_for() -> None:
    time, person = WorkingTime(SHORT), asyncio.Event()
    async with time:
        with time.pause(LONG):
            asyncio.get_running_loop().call_later(3 * SHORT.total_seconds(), person.set)
            await person.wait()
        assert not time.is_over
    assert time.worked < 3 * SHORT


async def test_time_goes_on_behind_the_waiting() -> None:
    time = WorkingTime(SHORT)

    async def work() -> None:
        async with time:
            with time.pause(LONG), time.pause(LONG):
                pass
            await forever()

    with pytest.raises(TimeoutError):
        await work()


async def test_waiting_is_bounded_in_all() -> None:
    async with WorkingTime(SHORT) as time:
        with time.pause(2 * MAX_WAITING) as seconds:
            assert seconds == MAX_WAITING.total_seconds()
        with time.pause(SHORT) as seconds:
            assert seconds == SHORT.total_seconds()


async def test_another_failure_is_passed_on() -> None:
    time = WorkingTime(LONG)
    with pytest.raises(TimeoutError, match="mine"):
        async with time:
            raise TimeoutError("mine")
    assert not time.is_over
    time.end()
