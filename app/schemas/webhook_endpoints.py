"""Bodies that create and change webhook endpoints, and the published forms of these and their deliveries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict, override

from app.enums import DeliveryError, DeliveryStatus, DisabledReason, OriginProduct, PayloadKind, RecoverOnly
from app.ids import MAX_BIGINT
from app.schemas.base import Input, PageLink, QueryInput
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
    def parse(self, value: Any) -> int | str:
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
        Field(description="Only tasks of this creator: a user's id, or `me` for the caller."),
    ] = None
    repository: Annotated[
        str | None,
        Text(max_length=255, check=check_repository, null=True),
        Field(description="`organization/repository`, any case."),
    ] = None
    origin_product: Annotated[
        OriginProduct | None,
        Choice(of=OriginProduct, named=True, null=True),
        Field(description="The product that the task came from."),
    ] = None


_URL = Text(max_length=_MAX_URL)
_URL_SHOWN = Field(
    description="The receiver: HTTPS on port 443 and a host name. Where the operator has opened private networks, their "
    "addresses and private names (without a dot, `….local`, `….internal`) may use HTTP and other ports. No user, no "
    "fragment, ASCII only.",
    examples=["https://hooks.example.com/taskbeacon"],
)
_TYPES = Items(max_length=_MAX_TYPES, empty=False)
_TYPES_SHOWN = Field(
    description="Types of `webhook_event_types`, families (`run.*`), or `*` for all; repeated ones are dropped.",
    examples=[["run.completed", "question.*"]],
)
_Type = Annotated[str, Text(max_length=64)]


class _Fields(Input):
    """The writable fields of a webhook endpoint except its URL and event types, all optional."""

    description: Annotated[
        str,
        Text(max_length=_MAX_DESCRIPTION, blank=True),
        Field(description="Description of the endpoint, for people; may be empty."),
    ] = ""
    payload: Annotated[
        PayloadKind,
        Choice(of=PayloadKind, named=True),
        Field(
            description="`thin`, the default: ids, statuses and a link. `full`: also the task and the run at the time "
            "of the event; above 20 kB it is cut to a thin body with `truncated`. `full` needs `task:read` too."
        ),
    ] = PayloadKind.THIN
    task_filter: Annotated[
        TaskFilterIn | None,
        Field(description="Only events of these tasks; null: of all tasks that the caller can see."),
    ] = None
    enabled: Annotated[
        bool, Boolean(), Field(description="Whether events are sent; a new endpoint is enabled.")
    ] = True


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
    event_types: Annotated[list[_Type], _TYPES, _TYPES_SHOWN] = []  # noqa: RUF012 - pydantic copies defaults


class RotateIn(Input):
    """A request to replace the secret of a webhook endpoint, and the time for which the old secret stays valid."""

    examples: ClassVar = {"A day with both": {}, "At once": {"expire_old_after_seconds": 0}}

    expire_old_after_seconds: Annotated[
        int,
        Integer(minimum=0, maximum=7 * _DAY_SECONDS),
        Field(description="The seconds for which both secrets sign; default: a day."),
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

    since: Annotated[datetime, Timestamp(), Field(description="Only events from this time on.")]
    until: Annotated[
        datetime | None,
        Timestamp(null=True),
        Field(description="Only events up to this time; null: up to now."),
    ] = None
    only: Annotated[
        RecoverOnly,
        Choice(of=RecoverOnly, named=True),
        Field(
            description="`failed`, the default: deliveries that failed or were cancelled. `all`: also events without a "
            "delivery because the endpoint was disabled. Delivered messages are not sent again."
        ),
    ] = RecoverOnly.FAILED


class DeliveryQuery(QueryInput):
    """The query parameters that filter the list of webhook deliveries. An empty one is treated as not given."""

    status: Annotated[
        DeliveryStatus | None,
        Choice(of=DeliveryStatus, named=True),
        Field(description="Only deliveries of this status."),
    ] = None
    event_type: Annotated[
        str | None,
        Text(max_length=64, blank_is_absent=True),
        Field(description="Only deliveries of this event type."),
    ] = None
    task_id: Annotated[UUID | None, Uuid(), Field(description="Only events of this task.")] = None
    after: Annotated[
        datetime | None, Timestamp(), Field(description="Only deliveries created after this time.")
    ] = None
    before: Annotated[
        datetime | None, Timestamp(), Field(description="Only deliveries created before this time.")
    ] = None


_Secret = Annotated[
    str,
    Field(
        description="`whsec_…`; shown here and never again.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKY0="],
    ),
]


class EndpointOut(TypedDict):
    """A webhook endpoint, without its secret."""

    id: UUID
    url: Annotated[str, Field(examples=["https://hooks.example.com/taskbeacon"])]
    event_types: Annotated[list[str], Field(examples=[["run.completed", "question.*"]])]
    description: Annotated[str, Field(examples=["Our chat"])]
    payload: PayloadKind
    task_filter: Annotated[dict[str, Any] | None, Field(description="The filter of tasks; null: all tasks.")]
    enabled: bool
    disabled_reason: Annotated[
        DisabledReason | None, Field(description="Why the endpoint is disabled; null if it is enabled.")
    ]
    created_at: datetime
    created_by: Annotated[UserBasic | None, Field(description="The owner: the only user who can see it.")]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    consecutive_failures: Annotated[
        int, Field(description="Number of failed attempts since the last success.", examples=[0])
    ]
    secret_hint: Annotated[
        str, Field(description="The last four characters of the secret.", examples=["Zm8="])
    ]


class NewEndpointOut(EndpointOut):
    """A new webhook endpoint with its secret, which no later response shows."""

    secret: _Secret


class EndpointPage(TypedDict):
    """A page of webhook endpoints."""

    count: Annotated[int, Field(description="The number of the caller's endpoints in the project.")]
    next: PageLink
    previous: PageLink
    results: list[EndpointOut]


class RotatedOut(TypedDict):
    """The new secret of a webhook endpoint, which no later response shows, and the time when the old secret expires."""

    secret: _Secret
    old_secret_valid_until: Annotated[
        datetime, Field(description="Until when both secrets sign every message.")
    ]


class PingedOut(TypedDict):
    """The id of the delivery of a test message. Its result can be retrieved by this id."""

    delivery_id: Annotated[UUID, Field(description="Id of the delivery; `deliveries` has its result.")]


class RecoveredOut(TypedDict):
    """The number of missed webhook messages that will be sent to a webhook endpoint."""

    count: Annotated[int, Field(description="The number of deliveries.")]


class _Delivery(TypedDict):
    id: UUID
    event_id: Annotated[UUID, Field(description="The header `webhook-id`, the same for every attempt.")]
    event_type: Annotated[str, Field(examples=["run.completed"])]
    task_id: UUID | None
    run_id: UUID | None
    status: DeliveryStatus
    created_at: datetime
    next_attempt_at: Annotated[
        datetime | None,
        Field(description="When the next attempt is due; null unless the delivery is pending."),
    ]
    delivered_at: datetime | None


class DeliveryOut(_Delivery):
    """A delivery of an event to a webhook endpoint, with the number of its attempts."""

    attempts: Annotated[int, Field(description="The number of attempts.")]


class DeliveryPage(TypedDict):
    """A page of deliveries to a webhook endpoint, newest first."""

    count: Annotated[int, Field(description="The number of deliveries that match the filters.")]
    next: PageLink
    previous: PageLink
    results: list[DeliveryOut]


class AttemptOut(TypedDict):
    """One attempt to deliver an event to a webhook endpoint: the response, or the error."""

    n: int
    manual: Annotated[
        bool, Field(description="Whether a user requested the attempt, instead of the schedule.")
    ]
    started_at: datetime
    duration_ms: int
    outcome: Literal["delivered", "failed"]
    status_code: Annotated[
        int | None, Field(description="HTTP status of the response; null without a response.", examples=[200])
    ]
    response_excerpt: Annotated[
        str | None,
        Field(
            description="The first KiB of a text response; null without `task:read`, too.", examples=["ok"]
        ),
    ]
    error: DeliveryError | None
    resolved_ip: Annotated[
        str | None,
        Field(description="The IP address that the request was sent to.", examples=["203.0.113.7"]),
    ]
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
        Field(
            description="The exact bytes that are signed and sent; null for a key without `task:read`.",
            examples=['{"type":"ping",…}'],
        ),
    ]


class DeliveryDetailOut(_Delivery):
    """A delivery to a webhook endpoint, with its request and all attempts."""

    request: RequestOut
    attempts: list[AttemptOut]
