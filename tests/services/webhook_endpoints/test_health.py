"""Conditions under which a webhook endpoint is disabled."""

from datetime import datetime, timedelta

from app.clients.webhooks.webhook_messages import AttemptResult
from app.clock import utcnow
from app.enums import DeliveryError, DisabledReason
from app.services.webhook_endpoints.disabling import Health

BEGAN = utcnow()
FRESH = Health(None, None, 0, None, has_exhausted=False, blocked_in_a_row=0)


def result(error: DeliveryError | None) -> AttemptResult:
    return AttemptResult(started_at=BEGAN, duration=timedelta(0), error=error)


FAILED, TAKEN = result(DeliveryError.HTTP_5XX), result(None)


def reason(health: Health, at: datetime) -> DisabledReason | None:
    return health.reason_to_disable(FAILED, now=at)


def test_five_days_without_success_are_reason_only_once_a_message_is_given_up() -> None:
    late = BEGAN + timedelta(days=5)
    failing = FRESH.after(FAILED, now=BEGAN, exhausted=False)
    assert reason(failing.after(FAILED, now=late, exhausted=False), late) is None

    given_up = failing.after(FAILED, now=BEGAN + timedelta(days=4), exhausted=True)
    early = late - timedelta(seconds=1)
    assert reason(given_up.after(FAILED, now=early, exhausted=False), early) is None
    assert reason(given_up.after(FAILED, now=late, exhausted=False), late) is DisabledReason.NO_SUCCESS


def test_success_makes_all_failures_before_it_count_no_more() -> None:
    given_up = FRESH.after(FAILED, now=BEGAN, exhausted=True)
    taken = given_up.after(TAKEN, now=BEGAN + timedelta(days=4), exhausted=False)
    assert taken == Health(BEGAN + timedelta(days=4), BEGAN, 0, None, has_exhausted=False, blocked_in_a_row=0)

    failing = taken.after(FAILED, now=BEGAN + timedelta(days=6), exhausted=True)

    assert reason(failing, BEGAN + timedelta(days=6)) is None
    assert reason(failing, BEGAN + timedelta(days=11)) is DisabledReason.NO_SUCCESS


def test_blocked_addresses_count_in_a_row() -> None:
    blocked = result(DeliveryError.BLOCKED_ADDRESS)
    health = FRESH
    for _ in range(19):
        health = health.after(blocked, now=BEGAN, exhausted=False)
    assert reason(health, BEGAN) is None
    again = health.after(FAILED, now=BEGAN, exhausted=False).after(blocked, now=BEGAN, exhausted=False)
    assert reason(again, BEGAN) is None
    twentieth = health.after(blocked, now=BEGAN, exhausted=False)
    assert reason(twentieth, BEGAN) is DisabledReason.BLOCKED_ADDRESS
