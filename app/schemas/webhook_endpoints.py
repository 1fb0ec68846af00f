"""Bodies that create and change webhook endpoints, and the published forms of these and their deliveries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict, override

from app.enums import DeliveryError, DeliveryStatus, DisabledReason, OriginProduct, PayloadKind, RecoverOnly
from app.ids import MAX_BIGINT
from app.json_types import JsonDict
from app.schemas.base import Input, ListPage, QueryInput, doc
from app.schemas.fields import (
    Boolean,
    Choice,
    Integer,
    Items,
    Text,
    Timestamp,
    Uuid,
    check_repository,
    fail,
    parse_integer,
)
from app.schemas.fields import Field as InputField
from app.schemas.users import UserBasic

_MAX_TYPES = 100
_MAX_URL = 2048
_MAX_DESCRIPTION = 1000
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Creator(InputField):
    """A field that takes the id of a user, or `me`."""

    schema: ClassVar = {"anyOf": [{"type": "integer"}, {"const": "me"}]}

    @override
    def parse(self, value: object) -> int | str:
        if value == "me":
            return "me"
        number = parse_integer(value)
        if number is None or not 0 <= number <= MAX_BIGINT:
            raise fail("invalid_input", "Enter the id of a user, or `me`.")
        return number


class TaskFilterIn(Input):
    """The task filter of a webhook endpoint. The endpoint gets only the events of tasks that match all given fields."""

    created_by: Annotated[
        int | str | None,
        _Creator(null=True),
        doc("Only tasks of this creator: a user's id, or `me` for the caller."),
    ] = None
    repository: Annotated[
        str | None,
        Text(max_length=255, check=check_repository, null=True),
        doc("`organization/repository`, any case."),
    ] = None
    origin_product: Annotated[
        OriginProduct | None,
        Choice(of=OriginProduct, named=True, null=True),
        doc("The product that the task came from."),
    ] = None


_URL = Text(max_length=_MAX_URL)
_URL_SHOWN = doc(
    "The receiver: HTTPS on port 443 and a host name. Where the operator has opened private networks, their "
    "addresses and private names (without a dot, `….local`, `….internal`) may use HTTP and other ports. No user, no "
    "fragment, ASCII only.",
    "https://hooks.example.com/taskbeacon",
)
_TYPES = Items(max_length=_MAX_TYPES, empty=False)
_TYPES_SHOWN = doc(
    "Types of `webhook_event_types`, families (`run.*`), or `*` for all; repeated ones are dropped.",
    ["run.completed", "question.*"],
)
_Type = Annotated[str, Text(max_length=64)]


class _Fields(Input):
    """The writable fields of a webhook endpoint except its URL and event types, all optional."""

    description: Annotated[
        str,
        Text(max_length=_MAX_DESCRIPTION, blank=True),
        doc("Description of the endpoint, for people; may be empty."),
    ] = ""
    payload: Annotated[
        PayloadKind,
        Choice(of=PayloadKind, named=True),
        doc(
            "`thin`, the default: ids, statuses and a link. `full`: also the task and the run at the time "
            "of the event; above 20 kB it is cut to a thin body with `truncated`. `full` needs `task:read` too."
        ),
    ] = PayloadKind.THIN
    task_filter: Annotated[
        TaskFilterIn | None, doc("Only events of these tasks; null: of all tasks that the caller can see.")
    ] = None
    enabled: Annotated[bool, Boolean(), doc("Whether events are sent; a new endpoint is enabled.")] = True


class EndpointIn(_Fields):
    """The fields of a new webhook endpoint."""

    examples: ClassVar = {
        "Ended runs, and questions": {
            "url": "https://hooks.example.com/taskbeacon",
            "event_types": ["run.completed", "run.failed", "run.cancelled", "question.*"],
        },
        "All events of the caller's own tasks, with full bodies": {
            "url": "https://hooks.example.com/taskbeacon",
            "event_types": ["*"],
            "payload": "full",
            "task_filter": {"created_by": "me"},
        },
    }

    url: Annotated[str, _URL, _URL_SHOWN]
    event_types: Annotated[list[_Type], _TYPES, _TYPES_SHOWN]


class EndpointUpdateIn(_Fields):
    """Changes to a webhook endpoint; absent fields keep their values."""

    examples: ClassVar = {
        "Change the URL": {"url": "https://hooks.example.com/new"},
        "Disable": {"enabled": False},
    }

    url: Annotated[str, _URL, _URL_SHOWN] = ""
    event_types: Annotated[list[_Type], _TYPES, _TYPES_SHOWN] = []


class RotateIn(Input):
    """A request to replace the secret of a webhook endpoint, and the time for which the old secret stays valid."""

    examples: ClassVar = {"A day with both": {}, "At once": {"expire_old_after_seconds": 0}}

    expire_old_after_seconds: Annotated[
        int,
        Integer(minimum=0, maximum=7 * _DAY_SECONDS),
        doc("The seconds for which both secrets sign; default: a day."),
    ] = _DAY_SECONDS


class RecoverIn(Input):
    """A request to send a webhook endpoint the messages that it has not received.

    The messages are selected by the time of their event and the result of their delivery.
    """

    examples: ClassVar = {
        "Failed deliveries": {"since": "2026-03-01T00:00:00Z"},
        "All events missed within an hour": {
            "since": "2026-03-01T10:00:00Z",
            "until": "2026-03-01T11:00:00Z",
            "only": "all",
        },
    }

    since: Annotated[datetime, Timestamp(), doc("Only events from this time on.")]
    until: Annotated[
        datetime | None, Timestamp(null=True), doc("Only events up to this time; null: up to now.")
    ] = None
    only: Annotated[
        RecoverOnly,
        Choice(of=RecoverOnly, named=True),
        doc(
            "`failed`, the default: deliveries that failed or were cancelled. `all`: also events without a "
            "delivery because the endpoint was disabled. Delivered messages are not sent again."
        ),
    ] = RecoverOnly.FAILED


class DeliveryQuery(QueryInput):
    """The query parameters that filter the list of webhook deliveries. An empty one is treated as not given."""

    status: Annotated[
        DeliveryStatus | None, Choice(of=DeliveryStatus, named=True), doc("Only deliveries of this status.")
    ] = None
    event_type: Annotated[
        str | None, Text(max_length=64, blank_is_absent=True), doc("Only deliveries of this event type.")
    ] = None
    task_id: Annotated[UUID | None, Uuid(), doc("Only events of this task.")] = None
    after: Annotated[datetime | None, Timestamp(), doc("Only deliveries created after this time.")] = None
    before: Annotated[datetime | None, Timestamp(), doc("Only deliveries created before this time.")] = None


_Secret = Annotated[
    str, doc("`whsec_…`; shown here and never again.", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0=")
]


class EndpointOut(TypedDict):
    """A webhook endpoint, without its secret."""

    id: UUID
    url: Annotated[str, Field(examples=["https://hooks.example.com/taskbeacon"])]
    event_types: Annotated[list[str], Field(examples=[["run.completed", "question.*"]])]
    description: Annotated[str, Field(examples=["Our chat"])]
    payload: PayloadKind
    task_filter: Annotated[JsonDict | None, doc("The filter of tasks; null: all tasks.")]
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None, doc("Why the endpoint is disabled; null if it is enabled.")
    ]
    created_at: datetime
    created_by: Annotated[UserBasic | None, doc("The owner: the only user who can see it.")]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    consecutive_failures: Annotated[int, doc("Number of failed attempts since the last success.", 0)]
    secret_hint: Annotated[str, doc("The last four characters of the secret.", "Zm8=")]


class NewEndpointOut(EndpointOut):
    """A new webhook endpoint with its secret, which no later response shows."""

    secret: _Secret


class EndpointPage(ListPage):
    """A page of webhook endpoints."""

    results: list[EndpointOut]


class RotatedOut(TypedDict):
    """The new secret of a webhook endpoint, which no later response shows, and the time when the old secret expires."""

    secret: _Secret
    old_secret_valid_until: Annotated[datetime, doc("Until when both secrets sign every message.")]


class PingedOut(TypedDict):
    """The id of the delivery of a test message. Its result can be retrieved by this id."""

    delivery_id: Annotated[UUID, doc("Id of the delivery; `deliveries` has its result.")]


class RecoveredOut(TypedDict):
    """The number of missed webhook messages that will be sent to a webhook endpoint."""

    count: Annotated[int, doc("The number of deliveries.")]


class _Delivery(TypedDict):
    id: UUID
    event_id: Annotated[UUID, doc("The header `webhook-id`, the same for every attempt.")]
    event_type: Annotated[str, Field(examples=["run.completed"])]
    task_id: UUID | None
    run_id: UUID | None
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: Annotated[
        datetime | None, doc("When the next attempt is due; null unless the delivery is pending.")
    ]
    delivered_at: datetime | None


class DeliveryOut(_Delivery):
    """A delivery of an event to a webhook endpoint, with the number of its attempts."""

    attempts: Annotated[int, doc("The number of attempts.")]


class DeliveryPage(ListPage):
    """A page of deliveries to a webhook endpoint, newest first."""

    results: list[DeliveryOut]


class AttemptOut(TypedDict):
    """One attempt to deliver an event to a webhook endpoint: the response, or the error."""

    n: int
    manual: Annotated[bool, doc("Whether a user requested the attempt, instead of the schedule.")]
    started_at: datetime
    duration_ms: int
    outcome: Literal["delivered", "failed"]
    status_code: Annotated[int | None, doc("HTTP status of the response; null without a response.", 200)]
    response_excerpt: Annotated[
        str | None, doc("The first KiB of a text response; null without `task:read`, too.", "ok")
    ]
    error: DeliveryError | None
    resolved_ip: Annotated[str | None, doc("The IP address that the request was sent to.", "203.0.113.7")]
    next_attempt_at: datetime | None


class RequestOut(TypedDict):
    """The HTTP request of a webhook delivery: its headers, with a masked signature, and its body."""

    headers: Annotated[
        dict[str, str],
        Field(
            examples=[
                {
                    "Content-Type": "application/json",
                    "webhook-id": "019ca8a6-8d1b-7c3e-9f62-0b5c1d2e3f40",
                    "webhook-timestamp": "1772359200",
                    "webhook-signature": "v1,***",
                }
            ]
        ),
    ]
    body: Annotated[
        str | None,
        doc(
            "The exact bytes that are signed and sent; null for a key without `task:read`.",
            '{"type":"ping",…}',
        ),
    ]


class DeliveryDetailOut(_Delivery):
    """A delivery to a webhook endpoint, with its request and all attempts."""

    request: RequestOut
    attempts: list[AttemptOut]
