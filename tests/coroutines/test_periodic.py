"""Steps that repeat beside other work (app/coroutines/periodic.py): none of their errors ends them."""

import asyncio

import pytest

from app.coroutines.periodic import attempt, every, repeating, wait
from app.outages import DatabaseUnavailable
from tests.support.waiting import eventually


class Step:
    """A step that fails with each of its errors, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.successes = 0

    async def __call__(self) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.successes += 1


async def test_outage_is_a_warning_and_any_other_error_has_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = Step(DatabaseUnavailable(), ValueError("planted"))
    async with repeating(0, step, event="thing.not_done"):
        await eventually(lambda: step.successes > 1)
    done = step.successes

    outage, defect = [record for record in caplog.records if "thing.not_done" in record.message]
    assert (outage.levelname, defect.levelname) == ("WARNING", "ERROR")
    assert "planted" in caplog.text
    assert step.successes == done


async def test_single_attempt_fails_without_an_error() -> None:
    step = Step(ValueError())
    for _ in range(2):
        await attempt(step, event="thing.not_done")
    assert step.successes == 1


async def test_step_that_is_under_way_at_the_end_is_completed() -> None:
    over, begun, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ends: list[bool] = []

    async def step() -> None:
        begun.set()
        await may_end.wait()
        ends.append(over.is_set())

    repeated = asyncio.create_task(every(0.001, step, event="thing.not_done", until=over))
    await begun.wait()
    over.set()
    may_end.set()
    await repeated
    assert ends == [True]


async def test_wait_ends_with_its_event_or_with_its_time() -> None:
    event = asyncio.Event()
    assert not await wait(event, 0.001)
    event.set()
    assert await wait(event, 0)
    assert await wait(event, None)
