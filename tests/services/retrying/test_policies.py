"""Delays between retries."""

import pytest

from app.services.retrying.policies import PUSH, WEBHOOK, RetrySchedule


@pytest.mark.parametrize("schedule", [PUSH, WEBHOOK])
def test_attempts_that_failed_together_are_not_repeated_together(schedule: RetrySchedule) -> None:
    for failures, delay in enumerate((*schedule.delays, schedule.delays[-1]), start=1):
        delays = {schedule.delay(failures) for _ in range(20)}

        assert len(delays) > 10
        assert all(delay <= each <= schedule.jitter * delay for each in delays)


def test_receiver_may_ask_for_a_longer_delay_but_not_for_a_shorter_one() -> None:
    assert WEBHOOK.delay(1, retry_after=3600) == 3600
    assert WEBHOOK.delay(1, retry_after=1) >= WEBHOOK.delays[0]
