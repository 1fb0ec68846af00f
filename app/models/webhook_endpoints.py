"""Webhook endpoints, their deliveries and attempts. A pending delivery is its own outbox, claimed by lease."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import AttemptOutcome, DeliveryError, DeliveryStatus, DisabledReason, PayloadKind
from app.json_types import JsonDict
from app.models.base import Base, one_of, rule


class WebhookEndpoint(Base):
    """A URL that a user registered to receive events of a project, with its latest successes and failures."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        one_of("payload", PayloadKind),
        one_of("disabled_reason", DisabledReason),
        rule("enabled", "enabled = (disabled_reason IS NULL)"),
        # For lists of a member's endpoints, and for the limit of a project.
        Index("ix_webhook_endpoints_project", "project_id", "created_by_id"),
        # For the end of a membership or an account.
        Index("ix_webhook_endpoints_created_by", "created_by_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    created_by_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str] = mapped_column(server_default=text("''"))
    payload: Mapped[str] = mapped_column(String(8))
    task_filter: Mapped[JsonDict | None]
    enabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(String(32))

    encrypted_secret: Mapped[str]
    secret_hint: Mapped[str] = mapped_column(String(8))
    # Replaced secrets that still sign, by the time (ISO 8601) at which they stop.
    encrypted_old_secrets: Mapped[JsonDict] = mapped_column(JSONB, server_default=text("'{}'"))

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_ping_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
    last_failure_at: Mapped[datetime | None]
    # Since the last success: the number of failed attempts, the time of the first one, whether a delivery used up its
    # attempts, and the number of latest attempts in a row that met a blocked address.
    consecutive_failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failing_since: Mapped[datetime | None]
    has_exhausted: Mapped[bool] = mapped_column(server_default=text("false"))
    blocked_in_a_row: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    # Until then, an endpoint that refuses everything gets no message. A person who asks for one clears it.
    probe_at: Mapped[datetime | None]


class WebhookEndpointDelivery(Base):
    """The delivery of one event to one webhook endpoint. Each attempt sends the same `body`, byte for byte."""

    __tablename__ = "webhook_endpoint_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        one_of("status", DeliveryStatus),
        # An endpoint's log, newest first.
        Index("ix_webhook_endpoint_deliveries_log", "endpoint_id", text("created_at DESC"), text("id DESC")),
        # For claims, per endpoint.
        Index(
            "ix_webhook_endpoint_deliveries_due",
            "endpoint_id",
            "due_at",
            postgresql_where=text("status = 'pending'"),
        ),
        # For claims, which count the deliveries under way: a few among all that are pending.
        Index(
            "ix_webhook_endpoint_deliveries_claimed",
            "endpoint_id",
            postgresql_where=text("status = 'pending' AND leased_until IS NOT NULL"),
        ),
        # For the sweep of old deliveries.
        Index("ix_webhook_endpoint_deliveries_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    # The id of the message (`webhook-id`), the same for every endpoint. A ping has its own id.
    event_id: Mapped[UUID]
    event_type: Mapped[str] = mapped_column(String(64))
    event_at: Mapped[datetime]
    task_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    body: Mapped[str]

    status: Mapped[str] = mapped_column(String(16))
    # The number of attempts begun, and their limit; a redelivery adds one.
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    attempts_allowed: Mapped[int] = mapped_column(SmallInteger)
    due_at: Mapped[datetime]
    # Whether the next attempt was requested by a person.
    is_manual: Mapped[bool] = mapped_column(server_default=text("false"))
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]


class WebhookRecovery(Base):
    """A request to send an endpoint what it missed; the relay has read the ledger up to its position."""

    __tablename__ = "webhook_recoveries"

    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
    )
    since: Mapped[datetime]
    until: Mapped[datetime]
    transaction_id: Mapped[int]
    seq: Mapped[int]
    # Recoveries take turns, by this time.
    continued_at: Mapped[datetime]


class WebhookAttempt(Base):
    __tablename__ = "webhook_attempts"
    __table_args__ = (one_of("outcome", AttemptOutcome), one_of("error", DeliveryError))

    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoint_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    is_manual: Mapped[bool]
    started_at: Mapped[datetime]
    duration_ms: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String(16))
    status_code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(String(32))
    response_excerpt: Mapped[str | None]
    resolved_ip: Mapped[str | None] = mapped_column(String(64))
    next_attempt_at: Mapped[datetime | None]
