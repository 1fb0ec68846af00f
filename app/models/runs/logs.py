"""The valid size of a run's log, and its current writer; the lines are in object storage."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import ForeignKey, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class RunLogState(Base):
    """How much of a run's log is valid, who holds its lock, and which events of an outside agent were accepted."""

    __tablename__ = "run_logs"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # The valid size of the object. Bytes after it were written by a writer that died; the next writer cuts them off.
    # NULL: the whole object is valid.
    size: Mapped[int | None]
    # The last holder of the lock, and until when it holds it; NULL: the holder has released it.
    writer: Mapped[str | None] = mapped_column(String(64))
    writer_until: Mapped[datetime | None]
    # The number of the last event taken from an agent outside our workers, which numbers its events from 1.
    accepted_seq: Mapped[int] = mapped_column(server_default=text("0"))
    # The number of the last event, once the agent has marked its events as complete and followers got this.
    completed_seq: Mapped[int | None]
    # When that agent was last alive. NULL: no such agent has used `event_stream`.
    heard_at: Mapped[datetime | None]


class RunEventId(Base):
    """An event's `event_id` of an outside agent, to recognise it when it is sent again; kept a day after the run."""

    __tablename__ = "run_event_ids"
    LONGEST: ClassVar[int] = 128

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(LONGEST), primary_key=True)
    # Whether the log has the event; followers got it in any case.
    kept: Mapped[bool]
