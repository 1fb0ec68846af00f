"""Enumerations of events and webhooks."""

from enum import StrEnum


class EventType(StrEnum):
    """The types of events that the ledger records and webhooks send; services/events/event_types.py describes each."""

    TASK_CREATED = "task.created"
    TASK_UPDATED = "task.updated"
    TASK_DELETED = "task.deleted"
    RUN_QUEUED = "run.queued"
    RUN_STARTED = "run.started"
    RUN_RECOVERED = "run.recovered"
    RUN_AWAITING_INPUT = "run.awaiting_input"
    RUN_RESUMED = "run.resumed"
    QUESTION_OPENED = "question.opened"
    QUESTION_ANSWERED = "question.answered"
    QUESTION_EXPIRED = "question.expired"
    QUESTION_WITHDRAWN = "question.withdrawn"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_PULL_REQUEST_OPENED = "run.pull_request_opened"
    RUN_ARTIFACT_ADDED = "run.artifact_added"
    VERIFICATION_STARTED = "verification.started"
    VERIFICATION_FINISHED = "verification.finished"
    VERIFICATION_UPDATED = "verification.updated"
    WEBHOOK_ENDPOINT_DISABLED = "webhook_endpoint.disabled"
    PING = "ping"


class PayloadKind(StrEnum):
    """The content of a webhook's body: `thin` has ids and statuses only, `full` also has the task and the run."""

    THIN = "thin"
    FULL = "full"


class DeliveryStatus(StrEnum):
    """The status of the delivery of an event to a webhook endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    # The endpoint was disabled before the delivery succeeded.
    CANCELLED = "cancelled"


class RecoverOnly(StrEnum):
    """The events that the recovery of a webhook endpoint sends."""

    FAILED = "failed"
    ALL = "all"


class AttemptOutcome(StrEnum):
    """The outcome of one attempt to send a message to a webhook endpoint."""

    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryError(StrEnum):
    """The reason why an attempt to send a message to a webhook endpoint failed."""

    DNS_FAILED = "dns_failed"
    BLOCKED_ADDRESS = "blocked_address"
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    REDIRECT = "redirect"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"


class DisabledReason(StrEnum):
    """The reason why a webhook endpoint is disabled."""

    GONE = "gone"
    NO_SUCCESS = "no_success"
    BLOCKED_ADDRESS = "blocked_address"
    CREATOR_DEACTIVATED = "creator_deactivated"
    CREATOR_LEFT = "creator_left"
    USER = "user"
