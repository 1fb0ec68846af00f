"""Preferences about pushes: when they come, and how much they say (contract 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

# In the order of `date.weekday`.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = timedelta(days=1)


class ActionTokens(StrEnum):
    """Up to which risk notifications have buttons that answer a question."""

    OFF = "off"
    LOW = "low"
    NORMAL = "normal"


class PushText(StrEnum):
    """Amounts of text in a push, the least first."""

    GENERIC = "generic"
    TITLE = "title"
    FULL = "full"

    def at_most(self, other: "PushText | None") -> "PushText":
        """Return the one of both that says less."""
        order = list(PushText)
        return self if other is None or order.index(self) <= order.index(other) else other


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily span; one that does not end later than it starts passes midnight. `days` are those of its start."""

    start: time
    end: time
    timezone: str
    days: Sequence[str] = DAYS

    @classmethod
    def read(cls, stored: dict[str, Any]) -> "QuietHours":
        """Return quiet hours from the value of `as_stored`."""
        return cls(
            start=time.fromisoformat(stored["start"]),
            end=time.fromisoformat(stored["end"]),
            timezone=stored["timezone"],
            days=tuple(stored["days"]),
        )

    def as_stored(self) -> dict[str, Any]:
        """Return the value of its column, which is what the API shows too."""
        return {
            "start": f"{self.start:%H:%M}",
            "end": f"{self.end:%H:%M}",
            "timezone": self.timezone,
            "days": list(self.days),
        }

    def end_at(self, now: datetime) -> datetime | None:
        """Return when the quiet hours end that `now` lies in; None outside of them."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        ends = (self._end_of(day, now) for day in (today - _DAY, today))
        return max((end for end in ends if end is not None), default=None)

    def _end_of(self, day: date, now: datetime) -> datetime | None:
        """Return the end of the hours that start on a day, if `now` lies in them."""
        if DAYS[day.weekday()] not in self.days:
            return None
        end = self._instant(day + _DAY if self.end <= self.start else day, self.end)
        return end if self._instant(day, self.start) <= now < end else None

    def _instant(self, day: date, wall: time) -> datetime:
        """Return the instant of a time of day.

        At a change of the clock as in RFC 5545: of two the first; one that is left out by the offset before the change.
        """
        return datetime.combine(day, wall, ZoneInfo(self.timezone)).astimezone(UTC)
