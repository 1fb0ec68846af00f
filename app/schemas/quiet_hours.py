"""Quiet hours, a daily period in which pushes are held back, and their JSON form (contract 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from app.schemas.fields import Field, JsonSchema, fail

# In the order of `date.weekday`.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)
_TIME = "%H:%M"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily period without pushes, from `start` to `end` in a time zone.

    If `end` is not later than `start`, the period ends on the next day. `days` are the days of the week on which it
    starts.
    """

    start: time
    end: time
    timezone: str
    days: Sequence[str] = DAYS

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "QuietHours":
        """Return the quiet hours from the JSON object that `as_stored` has returned."""
        return cls(
            start=time.fromisoformat(stored["start"]),
            end=time.fromisoformat(stored["end"]),
            timezone=stored["timezone"],
            days=tuple(stored["days"]),
        )

    def as_stored(self) -> dict[str, Any]:
        """Return the quiet hours as a JSON object, in the form that the database stores and the API returns."""
        return {
            "start": f"{self.start:%H:%M}",
            "end": f"{self.end:%H:%M}",
            "timezone": self.timezone,
            "days": list(self.days),
        }

    @property
    def is_whole_day(self) -> bool:
        """Whether the quiet hours last 24 hours, so that those of the next day follow without a gap."""
        return self.start == self.end

    def end_at(self, now: datetime) -> datetime | None:
        """Return the end of the quiet hours that contain `now`, as a UTC datetime, or None if no quiet hours do."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        ends = (self._end_of(day, now) for day in (today - _DAY, today))
        return max((end for end in ends if end is not None), default=None)

    def _end_of(self, day: date, now: datetime) -> datetime | None:
        """Return the end of the quiet hours that start on `day`, if they contain `now`."""
        if DAYS[day.weekday()] not in self.days:
            return None
        end = self._instant(day + _DAY if self.end <= self.start else day, self.end)
        return end if self._instant(day, self.start) <= now < end else None

    def _instant(self, day: date, local: time) -> datetime:
        """Return the instant of a time of day.

        At a change of the clock as in RFC 5545: the first of two equal times; the offset before the change
        for a skipped time.
        """
        return datetime.combine(day, local, ZoneInfo(self.timezone)).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHoursField(Field):
    """A field that takes quiet hours as an object: start and end as times of day, a time zone, and days of the week."""

    @override
    def parse(self, value: Any) -> QuietHours:
        if not isinstance(value, dict):
            raise fail("not_a_dict", f'Expected a dictionary of items but got type "{type(value).__name__}".')
        return QuietHours(
            start=_time(value, "start"),
            end=_time(value, "end"),
            timezone=_zone(value.get("timezone")),
            days=_days(value.get("days")),
        )

    @override
    def json_schema(self) -> JsonSchema:
        clock = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}
        return {
            "type": "object",
            "required": ["start", "end", "timezone"],
            "properties": {
                "start": {**clock, "example": "22:00"},
                "end": {
                    **clock,
                    "description": "End of the quiet hours; on the next day unless later than `start`.",
                    "example": "07:00",
                },
                "timezone": {
                    "type": "string",
                    "description": "IANA name of the time zone.",
                    "example": "Europe/Berlin",
                },
                "days": {
                    "type": ["array", "null"],
                    "items": {"type": "string", "enum": list(DAYS)},
                    "description": "Days on which the quiet hours start; default: all.",
                },
            },
        }


def _time(value: dict[str, Any], name: str) -> time:
    text = value.get(name)
    try:
        local = time.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        local = None
    if local is None or f"{local:{_TIME}}" != text:
        raise fail("invalid_input", f"`{name}` must be a time of day in the form HH:MM.")
    return local


def _zone(name: Any) -> str:
    try:
        return ZoneInfo(name).key
    # Zoneinfo reads an unknown name as a path, so other errors are possible too.
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError, AttributeError):
        raise fail(
            "invalid_input", "`timezone` must be the IANA name of a zone, such as Europe/Berlin."
        ) from None


def _days(value: Any) -> tuple[str, ...]:
    if value is None:
        return DAYS
    if not isinstance(value, list) or not value or not all(day in DAYS for day in value):
        raise fail("invalid_choice", f"`days` must be a list of some of: {', '.join(DAYS)}.")
    return tuple(day for day in DAYS if day in value)
