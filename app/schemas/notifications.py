"""Bodies about push notifications: decisions about pushes, users' preferences, and test pushes."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typing_extensions import TypedDict, override

from app.enums import NotificationDecision, NotificationKind, Platform, PushText, Urgency
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, doc
from app.schemas.devices.presence import EXAMPLE_DEVICE
from app.schemas.fields import Boolean, Choice, Integer, Items, JsonSchema, Uuid, fail, require_object
from app.schemas.fields import Field as InputField


class WatchedBy(TypedDict):
    """The device that showed the task when a push about the task was deferred."""

    device: Annotated[UUID, doc("The device that showed the task.")]
    seconds_ago: Annotated[float, doc("Age of the device's last beat when the decision was made.")]


class DecisionOut(TypedDict):
    """One of the successive decisions about a push (first `deferred`, later `sent`), with its reason and time."""

    decision: Annotated[NotificationDecision, doc("The decision.")]
    reason: Annotated[str | None, doc("The reason for the decision.", "presence")]
    at: Annotated[datetime, doc("When the decision was made.")]


class NotificationOut(TypedDict):
    """A push about one event to one device: the decision about it, the reason, and the result."""

    id: Annotated[UUID, doc("Id of the entry.")]
    run: Annotated[UUID | None, doc("The run that the push is about; null for a test push.")]
    kind: Annotated[NotificationKind, doc("The kind of event that the push reports.")]
    title: Annotated[str | None, doc("The title of an agent's message.")]
    body: Annotated[str, doc("Text of the push.", '"Say hello" finished')]
    device: Annotated[UUID | None, doc("The device that the push is for; null if the user has no device.")]
    platform: Annotated[Platform | None, doc("The platform of the device.")]
    decision: Annotated[
        NotificationDecision,
        doc(
            "`pending`, `retrying`, `sent` (taken by the push service), `delivered` (taken by the device's "
            "own), `rejected`, `given_up` after an hour of failures; `deferred` while a device shows the task or for "
            "another reason, `held_quiet_hours`, and decided again at `due_at`; after it was sent `reminder` or "
            "`retracted`; or never sent: `not_needed`, `digested` into one message after quiet hours, `muted`, "
            "`cooled_down`, `no_token`, `no_access`; a message of an agent also `throttled`, or `suppressed` while a "
            "device shows the task, as older rows are.",
            "deferred",
        ),
    ]
    reason: Annotated[
        str | None,
        doc(
            "The reason, such as `presence`, `answer_grace`, `cooldown`, `snoozed`, `seen`, `answered`, "
            "`DeviceNotRegistered`, `task_muted`, `kind_off`, `project_off`, `one_a_minute` or `five_a_run`.",
            "presence",
        ),
    ]
    watched_by: Annotated[WatchedBy | None, doc("The device that deferred the push.")]
    attempts: Annotated[int, doc("How often the push was sent to the push service.", 0)]
    created_at: Annotated[datetime, doc("When the decision was made.")]
    next_attempt_at: Annotated[datetime | None, doc("When the push is sent next.")]
    due_at: Annotated[datetime | None, doc("When the decision is made again; the same time.")]
    deferred_for: Annotated[
        float | None, doc("Seconds for which the push was deferred before it was sent.", 65.0)
    ]
    sent_at: Annotated[
        datetime | None, doc("When the push service accepted the push, or may have without saying so.")
    ]
    settled_at: Annotated[datetime | None, doc("When the final decision was made.")]
    history: Annotated[list[DecisionOut], doc("All decisions about the push, oldest first.")]


class NotificationPage(ListPage):
    """A page of the caller's notifications about a task, newest first.

    Each one is a push to one device, with all decisions about it.
    """

    results: list[NotificationOut]


class PushTestIn(Input):
    """A request for a test push to one of the caller's devices."""

    examples: ClassVar = {"The device last seen": {}, "A certain device": EXAMPLE_DEVICE}

    device_id: Annotated[UUID | None, Uuid(), doc("Default: the caller's most recently seen device.")] = None


class PushTestOut(TypedDict):
    """The response of the push service to a test push."""

    id: Annotated[UUID, doc("Id of the push in the list of the task's notifications.")]
    device: Annotated[UUID, doc("The device that the push was sent to.")]
    platform: Annotated[Platform, doc("The platform of the device.")]
    decision: Annotated[NotificationDecision, doc("`sent`, `rejected` or `retrying`.", "sent")]
    reason: Annotated[str | None, doc("Why the push was not sent.")]
    ticket: Annotated[
        str | None,
        doc("The push service's ticket, if it returned one.", "740dd1b2-0b1c-4b0a-8c1d-2f3e4a5b6c7d"),
    ]


_PUSH_TEXT = (
    "How much detail a push shows: `generic` names neither task nor question, `title` the task, `full` also the "
    "question. Expo, Apple and Google can read pushes to phones; those to browsers are encrypted. "
    "A project may allow less."
)
_ALLOWED = "Classes of pushes that quiet hours let through, such as `high`."
_REMINDER = "After how many seconds a question that is still open is pushed once more; null: never."


# In the order of `date.weekday`.
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class QuietHoursOut(TypedDict):
    """Quiet hours: a daily period without pushes. The pushes of the period are sent as one message at its end."""

    start: Annotated[str, doc("Time of day.", "22:00")]
    end: Annotated[str, doc("Time of day; on the next day unless later than `start`.", "07:00")]
    timezone: Annotated[str, doc("IANA name of the time zone.", "Europe/Berlin")]
    days: Annotated[list[str], doc("Days on which the quiet hours start: `mon` to `sun`.")]


class MuteOut(TypedDict):
    """Whether the caller has muted a task."""

    muted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _QuietHours(InputField):
    """A field that takes quiet hours as an object: start and end as times of day, a time zone, and days of the week."""

    @override
    def parse(self, value: object) -> QuietHoursOut:
        hours = require_object(value)
        start, end = _time(hours, "start"), _time(hours, "end")
        return {"start": start, "end": end, "timezone": _zone(hours), "days": _days(hours)}

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


def _time(value: JsonDict, name: str) -> str:
    text: Any = _required(value, name)
    try:
        local = time.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        local = None
    if local is None or f"{local:%H:%M}" != text:
        raise fail("invalid_input", f"`{name}` must be a time of day in the form HH:MM.", name)
    return f"{local:%H:%M}"


def _zone(value: JsonDict) -> str:
    name = _required(value, "timezone")
    try:
        return ZoneInfo(name).key
    # Zoneinfo reads an unknown name as a path, so other errors are possible too.
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError, AttributeError):
        text = "`timezone` must be the IANA name of a zone, such as Europe/Berlin."
        raise fail("invalid_input", text, "timezone") from None


def _required(value: JsonDict, name: str) -> Any:
    if name not in value:
        raise fail("required", "This field is required.", name)
    return value[name]


def _days(value: JsonDict) -> list[str]:
    days = value.get("days")
    if days is None:
        return list(DAYS)
    if not isinstance(days, list) or not days or not all(day in DAYS for day in days):
        raise fail("invalid_choice", f"`days` must be a list of some of: {', '.join(DAYS)}.", "days")
    return [day for day in DAYS if day in days]


class PreferencesIn(Input):
    """Changes to the caller's notification preferences; absent fields keep their values."""

    examples: ClassVar = {
        "No pushes about cancelled runs": {"cancelled": False},
        "Quiet hours at night, and no titles": {
            "quiet_hours": {"start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"},
            "allow_during_quiet": ["high"],
            "push_text": "generic",
        },
    }

    completed: Annotated[bool, Boolean(), doc("Whether to push when a run is completed.")] = True
    failed: Annotated[bool, Boolean(), doc("Whether to push when a run fails.")] = True
    cancelled: Annotated[bool, Boolean(), doc("Whether to push when a run is cancelled.")] = True
    awaiting: Annotated[bool, Boolean(), doc("Whether to push when an agent needs input.")] = True
    notify_user: Annotated[bool, Boolean(), doc("Whether to push messages of agents.")] = True
    quiet_hours: Annotated[
        QuietHoursOut | None, _QuietHours(null=True), doc("The times without pushes; null: none.")
    ] = None
    allow_during_quiet: Annotated[
        list[Annotated[Urgency, Choice(of=Urgency, named=True)]], Items(max_length=3), doc(_ALLOWED)
    ] = []
    push_text: Annotated[PushText, Choice(of=PushText, named=True), doc(_PUSH_TEXT)] = PushText.TITLE
    reminder_after_seconds: Annotated[
        int | None, Integer(minimum=60, maximum=86_400, null=True), doc(_REMINDER)
    ] = None


class PreferencesOut(TypedDict):
    """The notification preferences of the caller: the kinds of pushes, their times and their detail."""

    completed: Annotated[bool, doc("Whether to push when a run is completed.")]
    failed: Annotated[bool, doc("Whether to push when a run fails.")]
    cancelled: Annotated[bool, doc("Whether to push when a run is cancelled.")]
    awaiting: Annotated[bool, doc("Whether to push when an agent needs input.")]
    notify_user: Annotated[bool, doc("Whether to push messages of agents.")]
    quiet_hours: Annotated[QuietHoursOut | None, doc("The times without pushes.")]
    allow_during_quiet: Annotated[list[Urgency], doc(_ALLOWED)]
    push_text: Annotated[PushText, doc(_PUSH_TEXT)]
    reminder_after_seconds: Annotated[int | None, doc(_REMINDER)]
