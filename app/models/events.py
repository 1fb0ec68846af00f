"""The ledger of events: append-only, written in the transaction of the change (ADR 60)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.json_types import JsonDict
from app.models.base import Base

# A 64-bit number that never wraps, in a type that every driver reads.
CURRENT_TRANSACTION = "((pg_current_xact_id())::text)::bigint"


class Event(Base):
    """A fact of the life cycle of a task or a run; readers order them by (`transaction_id`, `seq`) (ADR 60)."""

    __tablename__ = "events"
    # For a project's list of events, and for recoveries of its webhooks.
    __table_args__ = (Index("ix_events_project", "project_id", "transaction_id", "seq"),)

    # The order of all readers, and the only two indexes: each index makes every change of a task or a run more
    # expensive.
    transaction_id: Mapped[int] = mapped_column(
        primary_key=True, server_default=text(CURRENT_TRANSACTION), autoincrement=False
    )
    seq: Mapped[int] = mapped_column(Identity(), primary_key=True)
    # Receivers get it as the id of the message. Made by the database, because one statement may record many events.
    id: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(64))
    # No foreign keys: an event outlives its rows, and each key would add a look-up to every insert.
    task_id: Mapped[UUID | None]
    run_id: Mapped[UUID | None]
    # The only person who may see an event that is not about a task.
    user_id: Mapped[int | None]
    # The number of the event within its run, else within its task.
    subject_seq: Mapped[int | None]
    occurred_at: Mapped[datetime]
    # Further fields of the type; never titles, texts or branches.
    data: Mapped[JsonDict] = mapped_column(server_default=text("'{}'"))


class EventSnapshot(Base):
    """The task and the run as they were when an event happened, for webhook endpoints with the payload `full`."""

    __tablename__ = "event_snapshots"

    # Removed with the event, by the sweep.
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    snapshot: Mapped[JsonDict]


class EventCursor(Base):
    """The position up to which a reader of the whole ledger of events, such as the webhook relay, has read."""

    __tablename__ = "event_cursors"

    reader: Mapped[str] = mapped_column(String(32), primary_key=True)
    transaction_id: Mapped[int]
    seq: Mapped[int]


class EventHorizon(Base):
    """The position of the latest deleted event of a project: a reader before it has missed events."""

    __tablename__ = "event_horizons"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    transaction_id: Mapped[int]
    seq: Mapped[int]
