"""How much of a run's log counts, and who may write it now; the lines themselves are in object storage."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

__all__ = ["RunLogState"]


class RunLogState(Base):
    """One row for a run whose log is written; apart from the run, whose row has other writers."""

    __tablename__ = "run_logs"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # What a writer left behind that did not get to say so begins here and is cut off by the next one; NULL: the
    # object is all there is to know.
    size: Mapped[int | None] = mapped_column(BigInteger)
    # Whose turn it is, and until when; NULL: that writer has given it back.
    writer: Mapped[str | None] = mapped_column(String(64))
    writer_until: Mapped[datetime | None]
    # The last event taken of an agent outside our workers, which numbers its events from 1.
    accepted_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
