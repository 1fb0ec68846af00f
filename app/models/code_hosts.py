"""Branches that runs pushed to code hosts, deliveries of their webhooks, and failed checks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.json_types import JsonDict
from app.models.base import Base


class PushedBranch(Base):
    """The branch that a run pushed. Only the service writes this row, so it can be trusted."""

    __tablename__ = "pushed_branches"
    __table_args__ = (
        ForeignKeyConstraint(["run_id", "task_id"], ["runs.id", "runs.task_id"], ondelete="CASCADE"),
        # Finds the run for a webhook.
        Index("ix_pushed_branches_branch", "repository", "branch", text("created_at DESC")),
        # For ON DELETE SET NULL.
        Index(None, "integration_id", postgresql_where=text("integration_id IS NOT NULL")),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID]
    # The integration that the run used; NULL: the task had none.
    integration_id: Mapped[int | None] = mapped_column(ForeignKey("integrations.id", ondelete="SET NULL"))
    repository: Mapped[str] = mapped_column(String(255))
    branch: Mapped[str] = mapped_column(String(255))
    base_branch: Mapped[str | None] = mapped_column(String(255))
    head_sha: Mapped[str] = mapped_column(String(64))
    # The commit that the run began from; NULL in rows of the first release.
    base_sha: Mapped[str | None] = mapped_column(String(64))
    # For release 0.1.0 alone; the next release drops it (migrations/README.md).
    pull_request_number: Mapped[int | None] = mapped_column(deferred=True)
    pull_request_url: Mapped[str | None]
    # What the code host's own checks have said of `head_sha` (services/runs/ci_reports.py).
    ci: Mapped[JsonDict] = mapped_column(server_default=text("'{}'"))
    # The end of the lease of the process that writes about the branch; it stands in all rows of the branch.
    writing_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class GithubDelivery(Base):
    """The id of a webhook delivery from GitHub that was processed, so that a repeated delivery is recognised."""

    __tablename__ = "github_deliveries"
    # For the sweep.
    __table_args__ = (Index(None, "received_at"),)

    delivery_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    received_at: Mapped[datetime]


class CiFailure(Base):
    """A commit that a run pushed and for which checks failed; one row however many did."""

    __tablename__ = "ci_failures"
    __table_args__ = (
        UniqueConstraint("task_id", "branch", "head_sha"),
        ForeignKeyConstraint(
            ["follow_up_run_id", "task_id"],
            ["runs.id", "runs.task_id"],
            ondelete="SET NULL (follow_up_run_id)",
        ),
        # For ON DELETE SET NULL.
        Index(None, "follow_up_run_id", postgresql_where=text("follow_up_run_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    branch: Mapped[str] = mapped_column(String(255))
    head_sha: Mapped[str] = mapped_column(String(64))
    follow_up_run_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
