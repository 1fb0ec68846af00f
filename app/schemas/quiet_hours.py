"""Quiet hours as clients write them (contract 16)."""

from dataclasses import dataclass
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import override

from app.push_preferences import DAYS, QuietHours
from app.schemas.fields import Field, JsonSchema, fail

_TIME = "%H:%M"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHoursField(Field):
    """A span of the day in a zone, on some days of the week."""

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
                "end": {**clock, "description": "Of the next day unless it is later.", "example": "07:00"},
                "timezone": {"type": "string", "description": "IANA name.", "example": "Europe/Berlin"},
                "days": {
                    "type": ["array", "null"],
                    "items": {"type": "string", "enum": list(DAYS)},
                    "description": "Days on which they start; default: all.",
                },
            },
        }


def _time(value: dict[str, Any], name: str) -> time:
    text = value.get(name)
    try:
        wall = time.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        wall = None
    if wall is None or f"{wall:{_TIME}}" != text:
        raise fail("invalid_input", f"`{name}` must be a time of day in the form HH:MM.")
    return wall


def _zone(name: Any) -> str:
    try:
        return ZoneInfo(name).key
    # What is no name of a zone may be a path, of which zoneinfo says more.
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
