"""Quiet hours in the time of a zone, at both changes of the clock too (contract 16)."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from app.schemas.notifications import DAYS
from app.services.notifications.rules.quiet_hours import QuietHours

BERLIN = "Europe/Berlin"
NIGHT = QuietHours(time(22), time(7), BERLIN)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        # A winter night: the zone is an hour ahead.
        (NIGHT, "2026-01-14T20:59:59", None),
        (NIGHT, "2026-01-14T21:00:00", "2026-01-15T06:00:00"),
        (NIGHT, "2026-01-15T05:59:59", "2026-01-15T06:00:00"),
        (NIGHT, "2026-01-15T06:00:00", None),
        # Spring: at one o'clock UTC the clock goes from two to three; the night is an hour shorter.
        (NIGHT, "2026-03-28T21:00:00", "2026-03-29T05:00:00"),
        (NIGHT, "2026-03-29T04:59:59", "2026-03-29T05:00:00"),
        (NIGHT, "2026-03-29T05:00:00", None),
        # Autumn: at one o'clock UTC the clock goes from three to two; the night is an hour longer.
        (NIGHT, "2026-10-24T20:00:00", "2026-10-25T06:00:00"),
        (NIGHT, "2026-10-25T05:59:59", "2026-10-25T06:00:00"),
        (NIGHT, "2026-10-25T06:00:00", None),
        # A time that the spring leaves out ends by the offset before the change; of two in autumn, the first.
        (QuietHours(time(22), time(2, 30), BERLIN), "2026-03-29T01:29:59", "2026-03-29T01:30:00"),
        (QuietHours(time(22), time(2, 30), BERLIN), "2026-10-25T00:29:59", "2026-10-25T00:30:00"),
        (QuietHours(time(22), time(2, 30), BERLIN), "2026-10-25T01:15:00", None),
        # Within a day; and all of it.
        (QuietHours(time(12), time(13), "UTC"), "2026-01-14T12:30:00", "2026-01-14T13:00:00"),
        (QuietHours(time(9), time(9), "UTC"), "2026-01-14T08:00:00", "2026-01-14T09:00:00"),
        # Days are those of the start: the night of Friday reaches into Saturday, that of Saturday is no night.
        (QuietHours(time(22), time(7), "UTC", ("fri",)), "2026-01-17T03:00:00", "2026-01-17T07:00:00"),
        (QuietHours(time(22), time(7), "UTC", ("fri",)), "2026-01-17T23:00:00", None),
        # The other side of the world: its day is another one.
        (
            QuietHours(time(22), time(7), "Pacific/Auckland", ("thu",)),
            "2026-01-15T10:00:00",
            "2026-01-15T18:00:00",
        ),
    ],
)
def test_end_of_quiet_hours(hours: QuietHours, now: str, end: str | None) -> None:
    assert hours.end_at(at(now)) == (None if end is None else at(end))


def test_every_minute_of_the_nights_of_both_changes_is_quiet_or_not_as_the_wall_says() -> None:
    """Outside of the hour that exists twice or not at all, the wall clock decides."""
    for day in ("2026-03-29", "2026-10-25"):
        midnight = at(f"{day}T00:00:00").timestamp()
        for minute in range(-6 * 60, 12 * 60):
            moment = datetime.fromtimestamp(midnight + 60 * minute, UTC)
            wall = moment.astimezone(ZoneInfo(BERLIN)).time()
            assert (NIGHT.end_at(moment) is not None) == (wall >= NIGHT.start or wall < NIGHT.end), moment


def test_what_is_stored_is_read_again() -> None:
    stored = {"start": "22:00", "end": "07:00", "timezone": BERLIN, "days": list(DAYS)}
    assert QuietHours.read(stored) == NIGHT
