"""Branches that runs pushed, and the pull requests for them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

__all__ = ["PushedBranch"]


class PushedBranch(Base):
    """What one run left at a code host. Unlike the run's output and state, no client can write it."""

    __tablename__ = "pushed_branches"
    __table_args__ = (
        # Which run does a webhook speak of?
        Index("ix_pushed_branches_branch", "repository", "branch", text("created_at DESC")),
        Index(None, "task_id"),
        # What ON DELETE SET NULL looks for.
        Index(None, "integration_id", postgresql_where=text("integration_id IS NOT NULL")),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    # Through which the run's host was reached; NULL: the task had none.
    integration_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("integrations.id", ondelete="SET NULL")
    )
    repository: Mapped[str] = mapped_column(String(255))
    branch: Mapped[str] = mapped_column(String(255))
    # The branch that the pull request is to go into.
    base_branch: Mapped[str | None] = mapped_column(String(255))
    head_sha: Mapped[str] = mapped_column(String(64))
    pull_request_number: Mapped[int | None] = mapped_column(BigInteger)
    pull_request_url: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
