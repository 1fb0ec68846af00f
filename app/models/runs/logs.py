"""The valid size of a run's log, and its current writer; the lines themselves are in object storage.

Also what is known of an agent outside our workers, which writes to the log through `event_stream`.
"""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class RunLogState(Base):
    """One row for a run with a log; apart from the run's row, which has other writers."""

    __tablename__ = "run_logs"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # What a writer left behind that did not get to say so begins here and is cut off by the next one; NULL: the
    # object is all there is to know.
    size: Mapped[int | None] = mapped_column(BigInteger)
    # Which writer has the turn, and until when; NULL: that writer has given it back.
    writer: Mapped[str | None] = mapped_column(String(64))
    writer_until: Mapped[datetime | None]
    # The last event taken of an agent outside our workers, which numbers its events from 1.
    accepted_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    # The number of the last event when the agent said that there are no more; followers know of it.
    completed_seq: Mapped[int | None] = mapped_column(BigInteger)
    # When that agent last gave a sign of life. NULL: no such agent has ever used `event_stream`.
    heard_at: Mapped[datetime | None]


class RunEventId(Base):
    """An event that a run has taken, by the id that its agent gave it; kept until a day after the run."""

    __tablename__ = "run_event_ids"
    LONGEST: ClassVar[int] = 128

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(LONGEST), primary_key=True)
    # False: followers had it, and no log has a place for it.
    kept: Mapped[bool]
