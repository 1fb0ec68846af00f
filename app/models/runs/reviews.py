"""What people have seen of the changes of runs, and their unsent comments."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from app.json_types import JsonDict
from app.models.base import Base


class RunReview(Base):
    """The review of a run's changes by one person; `version` counts its writes."""

    __tablename__ = "run_reviews"
    __table_args__ = (
        # For deleting a user.
        Index(None, "user_id"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    # `viewed` and `comments`, as the API shows them.
    content: Mapped[JsonDict]
    updated_at: Mapped[datetime]
