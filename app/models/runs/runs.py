"""Runs: one performance of a task by an agent. A queued row is the outbox of its job."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import Environment, RunStatus
from app.models.base import Base, JsonObject, one_of


class Run(Base):
    """A run of a task. `status`, `completed_at` and the lease are written by services/runs/lifecycle.py only."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("status", RunStatus),
        one_of("environment", Environment),
        # A task's runs, newest first.
        Index("ix_runs_task", "task_id", text("created_at DESC"), text("id DESC")),
        # The stage filter of the task list.
        Index("ix_runs_stage", "project_id", "stage", "task_id", postgresql_where=text("stage IS NOT NULL")),
        # What the sweeper looks for: asked for and not picked up.
        Index(
            "ix_runs_dispatch",
            "dispatch_requested_at",
            postgresql_where=text("status = 'queued' AND dispatch_requested_at IS NOT NULL"),
        ),
        # Those that workers perform: of a project, to count them, and of all, which are few, to find lapsed ones.
        Index(
            "ix_runs_held",
            "project_id",
            "lease_expires_at",
            postgresql_where=text("status = 'in_progress' AND lease_expires_at IS NOT NULL"),
        ),
        # Those of agents outside our workers, to find silent ones.
        Index(
            "ix_runs_outside",
            "updated_at",
            postgresql_where=text("status = 'in_progress' AND lease_expires_at IS NULL"),
        ),
        # Those that wait, in the order in which they are claimed.
        Index(
            "ix_runs_waiting",
            "project_id",
            "dispatch_requested_at",
            "id",
            postgresql_where=text("status = 'queued' AND dispatch_requested_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str | None] = mapped_column(String(100))
    branch: Mapped[str | None] = mapped_column(String(255))
    error_message: Mapped[str | None] = mapped_column(Text)
    output: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[JsonObject] = mapped_column(JSONB, server_default=text("'{}'"))
    # What only the service writes, shown in the wire's `state` (services/runs/facts.py).
    facts: Mapped[JsonObject] = mapped_column(JSONB, server_default=text("'{}'"))
    artifacts: Mapped[list[JsonObject]] = mapped_column(JSONB, server_default=text("'[]'"))
    # Beside `state`, which clients write: this one was checked against who started the run. No foreign key: a run
    # with a deleted environment must not become one that never had any.
    sandbox_environment_id: Mapped[UUID | None]
    # Who had the run performed last. No foreign key: a deleted account must stay apart from none.
    asked_by_id: Mapped[int | None] = mapped_column(BigInteger)
    # The task as it stood then, of a run that acts with something of that person's own (services/runs/authority.py).
    asked_task: Mapped[JsonObject | None]

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]

    # When a worker was asked for; NULL for runs that a client performs itself (contract 13.1).
    dispatch_requested_at: Mapped[datetime | None]
    # Which job holds the run, and until when without a heartbeat; `attempts` counts the claims.
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    # When it was first in progress; a run that is reopened begins again.
    started_at: Mapped[datetime | None]
    # How many events of the ledger are about the run; counted by the statement that changes it.
    event_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class RunCredential(Base):
    """The token of one run, from the request to the run's end; services/runs/credentials.py writes and forgets it."""

    __tablename__ = "run_credentials"
    # What the sweep looks for.
    __table_args__ = (Index(None, "created_at"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # Encrypted by `security.Cipher`.
    encrypted_token: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
