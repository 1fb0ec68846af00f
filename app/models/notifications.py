"""The decision about each push, its outcome, and people's preferences; a pending row is the outbox of its push."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import NotificationDecision, NotificationKind, Platform, PushPurpose, PushText, Urgency
from app.json_types import JsonDict
from app.models.base import Base, one_of, rule


class Notification(Base):
    """One push about one event to one device of a user: the decision about it, and the result of sending it."""

    __tablename__ = "notifications"
    __table_args__ = (
        one_of("kind", NotificationKind),
        one_of("purpose", PushPurpose),
        one_of("decision", NotificationDecision),
        one_of("platform", Platform),
        one_of("urgency", Urgency),
        # Nothing is forgotten: a push is due, waits for its receipt, or is settled.
        rule("settled_at", "num_nonnulls(due_at, receipt_due_at, settled_at) > 0"),
        rule(
            "waiting",
            "decision NOT IN ('pending', 'retrying', 'deferred', 'held_quiet_hours') OR due_at IS NOT NULL",
        ),
        rule("due_at", "due_at IS NULL OR device_id IS NOT NULL"),
        rule("receipt_due_at", "receipt_due_at IS NULL OR (sent_at IS NOT NULL AND ticket_id IS NOT NULL)"),
        rule("replaces", "(purpose = 'notice') = (replaces IS NULL)"),
        rule("device", "(device_id IS NULL) = (platform IS NULL)"),
        rule("watching", "(watching_device_id IS NULL) = (watching_beat_at IS NULL)"),
        rule("run", "run_id IS NULL OR task_id IS NOT NULL"),
        ForeignKeyConstraint(["run_id", "task_id"], ["runs.id", "runs.task_id"], ondelete="CASCADE"),
        # A recipient's history of a task, newest first.
        Index("ix_notifications_history", "task_id", "user_id", text("created_at DESC"), text("id DESC")),
        # For the claims of deliveries, oldest first.
        Index("ix_notifications_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
        # For the claims of the receipts job.
        Index(
            "ix_notifications_receipt_due",
            "receipt_due_at",
            postgresql_where=text("receipt_due_at IS NOT NULL"),
        ),
        # For the sweep.
        Index("ix_notifications_created_at", "created_at"),
        # For deleting a run or a user.
        Index("ix_notifications_run", "run_id"),
        Index("ix_notifications_user", "user_id"),
        # What presence and the end of quiet hours settle.
        Index(
            "ix_notifications_held",
            "user_id",
            "task_id",
            postgresql_where=text("decision IN ('deferred', 'held_quiet_hours')"),
        ),
        # What the end of a question settles.
        Index("ix_notifications_question", "question_id", postgresql_where=text("question_id IS NOT NULL")),
        # One reminder and one retraction of a notice at a time.
        Index(
            "ix_notifications_replaces",
            "replaces",
            "purpose",
            unique=True,
            postgresql_where=text("replaces IS NOT NULL AND due_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # NULL for a notification that is not about a task.
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    # NULL for a test push, and without a task.
    run_id: Mapped[UUID | None]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[str] = mapped_column(String(16), server_default=text(f"'{PushPurpose.NOTICE}'"))
    # The notice that a reminder or retraction replaces on the device; its history shows them.
    replaces: Mapped[UUID | None]
    body: Mapped[str]
    # What an agent gave its message; NULL: the title of every push.
    title: Mapped[str | None] = mapped_column(String(80))
    # The question that it asks; no foreign key: the history outlives it.
    question_id: Mapped[UUID | None]
    # The number in the ledger of the event that it reports.
    event_seq: Mapped[int | None]
    # How loud it is; NULL for what is neither loud nor quiet, such as a test push.
    urgency: Mapped[str | None] = mapped_column(String(16))

    # The push token. No foreign key: the history outlives a dead token, and the concurrent removal of a token must not
    # fail the pushes to the user's other devices.
    device_id: Mapped[UUID | None]
    platform: Mapped[str | None] = mapped_column(String(16))

    decision: Mapped[str] = mapped_column(String(16))
    # The reason of the decision for programs, such as Expo's name of an error.
    reason: Mapped[str | None] = mapped_column(String(64))
    # The decisions until now, oldest first, each with its reason and its time.
    history: Mapped[list[JsonDict]] = mapped_column(JSONB, server_default=text("'[]'"))
    # The watching device, because of which this push was deferred, and its last beat before that decision.
    watching_device_id: Mapped[UUID | None]
    watching_beat_at: Mapped[datetime | None]

    created_at: Mapped[datetime]
    # When it may be sent (again). A claim moves it forward, so that claims of a lost worker become due by themselves.
    due_at: Mapped[datetime | None]
    # For how many seconds it was deferred or held, once it was let go.
    deferred_for: Mapped[float | None]
    # For release 0.1.0 alone; the next release drops it (migrations/README.md).
    follow_up_at: Mapped[datetime | None] = mapped_column(deferred=True)
    # The number of claims; only the holder of the last one records the outcome.
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    ticket_id: Mapped[str | None] = mapped_column(String(128))
    sent_at: Mapped[datetime | None]
    receipt_due_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]


class PushCooldown(Base):
    """The time until which no further push of the same kind is sent for a run (contract 7.2)."""

    __tablename__ = "push_cooldowns"
    __table_args__ = (
        one_of("kind", NotificationKind),
        # For the sweep.
        Index(None, "expires_at"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    expires_at: Mapped[datetime]


class NotificationPreferences(Base):
    """What a user wants pushed, when, and with which text. A user without a row gets all kinds at any time."""

    __tablename__ = "notification_preferences"
    __table_args__ = (one_of("push_text", PushText),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    completed: Mapped[bool] = mapped_column(server_default=text("true"))
    failed: Mapped[bool] = mapped_column(server_default=text("true"))
    cancelled: Mapped[bool] = mapped_column(server_default=text("true"))
    awaiting: Mapped[bool] = mapped_column(server_default=text("true"))
    notify_user: Mapped[bool] = mapped_column(server_default=text("true"))
    # `start`, `end`, `timezone`, `days`, as app/services/notifications/rules/quiet_hours.py reads them.
    quiet_hours: Mapped[JsonDict | None]
    # The classes that quiet hours let through.
    allow_during_quiet: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'"))
    push_text: Mapped[str | None] = mapped_column(String(16))
    reminder_after_seconds: Mapped[int | None] = mapped_column(Integer)


class TaskMute(Base):
    __tablename__ = "task_mutes"
    # For deleting a task.
    __table_args__ = (Index("ix_task_mutes_task", "task_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime]
