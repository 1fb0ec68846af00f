"""Delays between retries."""

import pytest

from app.clients.webhooks.webhook_client import ANSWER_SECONDS, TOTAL_SECONDS
from app.services.retrying.policies import (
    ATTACHMENT,
    CODE_HOST,
    DATABASE,
    LOG_LOCK,
    LOG_LOCK_LEASE,
    PUSH,
    RUN_LEASE,
    WEBHOOK,
    WEBHOOK_LEASE,
    RetryPolicy,
    RetrySchedule,
)


@pytest.mark.parametrize("schedule", [PUSH, WEBHOOK])
def test_attempts_that_failed_together_are_not_repeated_together(schedule: RetrySchedule) -> None:
    for failures, delay in enumerate((*schedule.delays, schedule.delays[-1]), start=1):
        delays = {schedule.delay(failures) for _ in range(20)}

        assert len(delays) > 10
        assert all(delay <= each <= schedule.jitter * delay for each in delays)


def test_receiver_may_ask_for_a_longer_delay_but_not_for_a_shorter_one() -> None:
    assert WEBHOOK.delay(1, retry_after=3600) == 3600
    assert WEBHOOK.delay(1, retry_after=1) >= WEBHOOK.delays[0]


@pytest.mark.parametrize("policy", [ATTACHMENT, CODE_HOST, DATABASE, LOG_LOCK])
def test_policy_has_time_for_its_delays(policy: RetryPolicy) -> None:
    assert sum(policy.delays) < policy.within


def test_tries_begin_before_the_lease_that_they_need_has_lapsed() -> None:
    assert DATABASE.within < RUN_LEASE.total_seconds()
    assert TOTAL_SECONDS + ANSWER_SECONDS + DATABASE.within < WEBHOOK_LEASE.total_seconds()
    assert LOG_LOCK.within < LOG_LOCK_LEASE.total_seconds()
