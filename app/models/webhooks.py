"""What code hosts told us, and what came of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

__all__ = ["CiFailure", "GithubDelivery"]


class GithubDelivery(Base):
    """A delivery that was taken in; hosts deliver again what they believe to be lost."""

    __tablename__ = "github_deliveries"
    __table_args__ = (Index(None, "received_at"),)

    delivery_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    received_at: Mapped[datetime]


class CiFailure(Base):
    """A commit of ours that failed its checks. Several checks of one commit are one failure."""

    __tablename__ = "ci_failures"
    __table_args__ = (
        UniqueConstraint("task_id", "branch", "head_sha"),
        Index(None, "follow_up_run_id", postgresql_where=text("follow_up_run_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    branch: Mapped[str] = mapped_column(String(255))
    head_sha: Mapped[str] = mapped_column(String(64))
    # The run that was started for it.
    follow_up_run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
