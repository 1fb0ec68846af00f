"""Quiet hours: a daily period in a time zone in which pushes are held back (contract 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.json_types import JsonDict
from app.schemas.notifications import DAYS

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A period without pushes that begins on `days`, from `start` to `end`, on the next day unless that is later."""

    start: time
    end: time
    timezone: str
    days: Sequence[str] = DAYS

    @classmethod
    def read(cls, stored: JsonDict) -> "QuietHours":
        """Return the quiet hours from the JSON object that the API takes and returns, and the database stores."""
        return cls(
            start=time.fromisoformat(stored["start"]),
            end=time.fromisoformat(stored["end"]),
            timezone=stored["timezone"],
            days=tuple(stored["days"]),
        )

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
        if DAYS[day.weekday()] not in self.days:
            return None
        end = self._instant(day + _DAY if self.end <= self.start else day, self.end)
        return end if self._instant(day, self.start) <= now < end else None

    def _instant(self, day: date, local: time) -> datetime:
        # At a change of the clock as in RFC 5545: the first of two equal times; the offset before it for a skipped one.
        return datetime.combine(day, local, ZoneInfo(self.timezone)).astimezone(UTC)
