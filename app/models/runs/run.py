"""Runs: attempts of agents at tasks. A queued row is the outbox of its job."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    and_,
    cast,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import TERMINAL_STATUSES, Environment, RunStatus
from app.json_types import JsonDict
from app.models.base import Base, constant, has_lease_of, is_one_of, one_of, rule


class Run(Base):
    """One attempt at a task; services/runs/run_lifecycle.py alone writes `status`, `completed_at` and the lease."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("status", RunStatus),
        one_of("environment", Environment),
        has_lease_of("status = 'in_progress'"),
        rule("completed_at", f"({is_one_of('status', TERMINAL_STATUSES)}) = (completed_at IS NOT NULL)"),
        ForeignKeyConstraint(["task_id", "project_id"], ["tasks.id", "tasks.project_id"], ondelete="CASCADE"),
        # For foreign keys: the rows of a run are of its task.
        Index("uq_runs_id_task_id", "id", "task_id", unique=True),
        # A task's runs, newest first.
        Index("ix_runs_task", "task_id", text("created_at DESC"), text("id DESC")),
        # For the stage filter of the task list.
        Index("ix_runs_stage", "project_id", "stage", "task_id", postgresql_where=text("stage IS NOT NULL")),
        # For the sweep: requested and not claimed.
        Index(
            "ix_runs_dispatch",
            "dispatch_requested_at",
            postgresql_where=text("status = 'queued' AND dispatch_requested_at IS NOT NULL"),
        ),
        # For the sweep: runs that begin at a later time.
        Index(
            "ix_runs_scheduled",
            "scheduled_at",
            postgresql_where=text(
                "status = 'not_started' AND scheduled_at IS NOT NULL AND dispatch_requested_at IS NULL"
            ),
        ),
        # Runs that workers perform: of a project, to count them; of all projects, which are few, to find lapsed leases.
        Index(
            "ix_runs_held",
            "project_id",
            "lease_expires_at",
            postgresql_where=text("status = 'in_progress' AND lease_expires_at IS NOT NULL"),
        ),
        # Runs of agents outside our workers, to find silent ones.
        Index(
            "ix_runs_outside",
            "updated_at",
            postgresql_where=text("status = 'in_progress' AND lease_expires_at IS NULL"),
        ),
        # Waiting runs, in the order of claims.
        Index(
            "ix_runs_waiting",
            "project_id",
            "dispatch_requested_at",
            "id",
            postgresql_where=text("status = 'queued' AND dispatch_requested_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    task_id: Mapped[UUID]
    project_id: Mapped[int]
    status: Mapped[RunStatus]
    environment: Mapped[Environment]
    stage: Mapped[str | None] = mapped_column(String(100))
    branch: Mapped[str | None] = mapped_column(String(255))
    error_message: Mapped[str | None]
    output: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    state: Mapped[JsonDict] = mapped_column(JSONB, server_default=text("'{}'"))
    # Keys that only the service writes, shown in the wire's `state` (models/runs/run_facts.py).
    facts: Mapped[JsonDict] = mapped_column(JSONB, server_default=text("'{}'"))
    artifacts: Mapped[list[JsonDict]] = mapped_column(JSONB, server_default=text("'[]'"))
    # Unlike the id in `state`, which clients write, this one was checked for the person who started the run. No foreign
    # key: a run with a deleted environment must not look like a run without one.
    sandbox_environment_id: Mapped[UUID | None]
    # The person who last started the run. No foreign key: a deleted account must differ from none.
    asked_by_id: Mapped[int | None]
    # The task when that person first asked for the run, if it uses a personal account or environment
    # (services/runs/run_authority.py).
    asked_task: Mapped[JsonDict | None]
    # The newest verification of what the run delivered, as the API shows it
    # (services/runs/verification_attempts/verification_lifecycle.py).
    verification: Mapped[JsonDict | None]
    # MCP servers for the agent, as JSON, encrypted by `Cipher`; NULL once the run is over.
    encrypted_mcp_servers: Mapped[str | None]

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]

    # When a worker is to be requested, if that was set at creation.
    scheduled_at: Mapped[datetime | None]
    # When a worker was requested; NULL for runs that a client performs itself (contract 13.1).
    dispatch_requested_at: Mapped[datetime | None]
    # The job that holds the run, and the end of its lease without a heartbeat; `attempts` counts the claims.
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    # The job that held the run when it was cancelled, which may still add the results of its agent; '' if none did.
    cancelled_owner: Mapped[str | None] = mapped_column(String(64))
    # When the run was first in progress; reset if the run is reopened.
    started_at: Mapped[datetime | None]
    # The number of events about the run in the ledger; counted by the statement that changes the run.
    event_count: Mapped[int] = mapped_column(server_default=text("0"))
    # The span of the request that last asked for a worker, as the header of W3C Trace Context; NULL without tracing.
    traceparent: Mapped[str | None] = mapped_column(String(55))


def is_waiting(run: Any = Run) -> ColumnElement[bool]:
    """Return the condition for runs that wait for a worker: queued, and not performed by a client (contract 13.1)."""
    return and_(run.status == constant(RunStatus.QUEUED), run.dispatch_requested_at.is_not(None))


def is_performed(run: Any = Run) -> ColumnElement[bool]:
    """Return the condition for runs that workers perform, or let wait for a person."""
    return and_(run.status == constant(RunStatus.IN_PROGRESS), run.lease_expires_at.is_not(None))


def held_by(run_id: Any, owner: Any) -> tuple[ColumnElement[bool], ...]:
    """Return the SQL conditions that select a run in progress only while the job `owner`, or None, holds it."""
    return (Run.id == run_id, Run.status == constant(RunStatus.IN_PROGRESS), Run.lease_owner == owner)


def was_held_by(run_id: UUID, owner: str | None) -> tuple[ColumnElement[bool], ...]:
    """Return the SQL conditions that select a cancelled run only if the job `owner`, or None, held it until then."""
    # COMPATIBILITY: 0.1.0 stores no owner.
    is_owner = func.coalesce(Run.cancelled_owner, owner or "") == (owner or "")
    return (Run.id == run_id, Run.status == constant(RunStatus.CANCELLED), is_owner)


def is_scheduled() -> ColumnElement[bool]:
    """Return the condition for runs that wait for the time for which they were created."""
    is_new = Run.status == constant(RunStatus.NOT_STARTED)
    return and_(is_new, Run.scheduled_at.is_not(None), Run.dispatch_requested_at.is_(None))


# What the search of tasks finds of a run. Constants, not parameters: an expression index matches only itself.
PULL_REQUEST_URL: ColumnElement[str] = Run.output.op("->>", return_type=Text())(text("'pr_url'"))
# A JSON list, as text.
ARTIFACT_NAMES: ColumnElement[str] = cast(
    func.jsonb_path_query_array(Run.artifacts, text("'$[*].name'")), Text
)
# For words that few runs hold. Not partial: the planner takes no statistics of expressions from a partial index.
Index(
    "ix_runs_search",
    PULL_REQUEST_URL.label("pr_url"),
    ARTIFACT_NAMES.label("names"),
    postgresql_using="gin",
    postgresql_ops={"pr_url": "gin_trgm_ops", "names": "gin_trgm_ops"},
)
# For words that many runs hold.
Index("ix_runs_project", Run.project_id, Run.created_at.desc(), Run.id.desc())


class RunCredential(Base):
    """The encrypted token for the code host that came with one run, deleted with the run's end or after a day."""

    __tablename__ = "run_credentials"
    # For the sweep.
    __table_args__ = (Index(None, "created_at"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    encrypted_token: Mapped[str]
    created_at: Mapped[datetime]
