"""Tasks: pieces of work for agents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import TEAM_WIDE_ORIGINS, ActivityKind, CiState, OriginProduct, RunStatus, Verdict
from app.json_types import JsonDict
from app.models.base import Base, one_of, rule

# The audience of a task that every member of its project may see.
EVERYONE = 0

# In PostgreSQL's own formatting, so that the drift check can compare the two.
_TEAM_WIDE = " OR ".join(
    f"origin_product::text = '{origin.value}'::text" for origin in sorted(TEAM_WIDE_ORIGINS)
)
_AUDIENCE = f"CASE WHEN created_by_id IS NULL OR {_TEAM_WIDE} THEN {EVERYONE}::bigint ELSE created_by_id END"


class Task(Base):
    """A piece of work for an agent. `audience` says who can see it (contract 4)."""

    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    task_number: Mapped[int | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    # EVERYONE, or the only user who sees the task. Generated, so that it changes when the creator is deleted.
    audience: Mapped[int] = mapped_column(Computed(_AUDIENCE, persisted=True))

    title: Mapped[str] = mapped_column(String(255))
    title_manually_set: Mapped[bool]
    description: Mapped[str]
    origin_product: Mapped[str] = mapped_column(String(32))
    repository: Mapped[str | None] = mapped_column(String(255))
    github_integration_id: Mapped[int | None]
    github_user_integration_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("user_integrations.id", ondelete="SET NULL")
    )
    signal_report_id: Mapped[UUID | None]
    json_schema: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    # Checks of the work on this task, beside those of the project and the repository (contract 18.2).
    acceptance: Mapped[JsonDict | None]
    internal: Mapped[bool]
    archived: Mapped[bool]
    archived_at: Mapped[datetime | None]
    ci_prompt: Mapped[str | None]
    # Options of the first run, from the task's creation: a JSON object, encrypted, until that run takes them.
    encrypted_hints: Mapped[str | None]

    # The run with the greatest (created_at, id) and its status (contract 9.4), kept by services/tasks/latest_run.py in
    # the statements of services/runs/status_changes.py: a page of tasks joins its runs by key, and the status filter
    # reads an index of this table alone.
    latest_run_id: Mapped[UUID | None]
    latest_run_status: Mapped[RunStatus | None]
    # How much its verdict asks of people (`urgency`), and what the code host's checks say of its work.
    verdict_urgency: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    latest_run_ci: Mapped[str | None] = mapped_column(String(16))

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    deleted_at: Mapped[datetime | None]
    # The number of events about the task and none of its runs; counted by the statement that changes the task.
    event_count: Mapped[int] = mapped_column(server_default=text("0"))
    # The time of the newest event about the task or its runs; written by the statement that records the event
    # (services/events/activity_notes.py), and kept when the event is removed from the ledger.
    last_activity_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # The newest end of a run or message of a member (contract 6.12); NULL while there was neither. The subject is the
    # run or the command. No foreign key: the activity outlives the account of the user whose request it was.
    activity_at: Mapped[datetime | None]
    activity_kind: Mapped[str | None] = mapped_column(String(16))
    activity_by_id: Mapped[int | None]
    activity_subject_id: Mapped[UUID | None]

    __table_args__ = (
        UniqueConstraint("project_id", "task_number"),
        one_of("origin_product", OriginProduct),
        one_of("latest_run_status", RunStatus),
        one_of("latest_run_ci", CiState),
        one_of("activity_kind", ActivityKind),
        rule("archived_at", "archived = (archived_at IS NOT NULL)"),
        rule("deleted_at", "deleted = (deleted_at IS NOT NULL)"),
        rule("activity", "num_nulls(activity_at, activity_kind, activity_subject_id) IN (0, 3)"),
        # For foreign keys: the rows of a task are of its project.
        Index("uq_tasks_id_project_id", "id", "project_id", unique=True),
        # What a task refers to is of its project, and its latest run its own.
        *(
            ForeignKeyConstraint(
                [column, "project_id"],
                [f"{table}.id", f"{table}.project_id"],
                ondelete=f"SET NULL ({column})",
            )
            for column, table in (
                ("github_integration_id", "integrations"),
                ("signal_report_id", "signal_reports"),
            )
        ),
        ForeignKeyConstraint(
            ["latest_run_id", "id"],
            ["runs.id", "runs.task_id"],
            ondelete="SET NULL (latest_run_id)",
            use_alter=True,
        ),
    )


# From the least urgent; 0 stands for no verdict.
VERDICT_URGENCY: Mapping[Verdict, int] = {
    Verdict.VERIFIED: 1,
    Verdict.CLAIMED: 2,
    Verdict.INCONCLUSIVE: 3,
    Verdict.REFUTED: 4,
}


# The two parts of `organization/repository`. Constants, not parameters: an expression index matches only itself.
REPOSITORY_OWNER = func.split_part(Task.repository, text("'/'"), text("1"))
REPOSITORY_NAME = func.split_part(Task.repository, text("'/'"), text("2"))


# The columns that every list reads besides its filter: included, so that a count is an index-only scan.
_LISTED_BY = ("audience", "archived", "internal")


def _alive(
    name: str, *columns: Any, where: str = "NOT deleted", include: Sequence[str] = _LISTED_BY
) -> Index:
    return Index(
        name,
        *columns,
        Task.created_at.desc(),
        Task.id.desc(),
        postgresql_where=text(where),
        postgresql_include=list(include),
    )


# Each serves one query of services/tasks/filters.py, in the order of its page.
_alive(
    "ix_tasks_inbox",
    Task.project_id,
    Task.audience,
    where="NOT deleted AND NOT archived AND NOT internal",
    include=(),
)
_alive("ix_tasks_all", Task.project_id, Task.audience, include=("archived", "internal"))
Index(
    "ix_tasks_activity",
    Task.project_id,
    Task.audience,
    Task.last_activity_at.desc(),
    Task.id.desc(),
    postgresql_where=text("NOT deleted"),
    postgresql_include=["archived", "internal"],
)
_alive(
    "ix_tasks_creator",
    Task.created_by_id,
    Task.project_id,
    # For services/tasks/activity_listing.py, which reads all tasks of a person.
    include=(*_LISTED_BY, "activity_at", "activity_kind", "activity_by_id", "activity_subject_id"),
)
_alive("ix_tasks_origin", Task.project_id, Task.origin_product)
_alive(
    "ix_tasks_status",
    Task.project_id,
    Task.latest_run_status,
    where="NOT deleted AND latest_run_status IS NOT NULL",
)
_alive(
    "ix_tasks_verdict",
    Task.project_id,
    Task.audience,
    Task.verdict_urgency.desc(),
    include=("archived", "internal"),
)
_alive("ix_tasks_ci", Task.project_id, Task.latest_run_ci, where="NOT deleted AND latest_run_id IS NOT NULL")
_alive(
    "ix_tasks_repository", Task.project_id, Task.repository, where="NOT deleted AND repository IS NOT NULL"
)
# With the column of the expression too: without it the planner reads each task for a count.
_alive(
    "ix_tasks_repository_owner",
    Task.project_id,
    REPOSITORY_OWNER,
    where="NOT deleted AND repository IS NOT NULL",
    include=(*_LISTED_BY, "repository"),
)
_alive(
    "ix_tasks_repository_name",
    Task.project_id,
    REPOSITORY_NAME,
    where="NOT deleted AND repository IS NOT NULL",
    include=(*_LISTED_BY, "repository"),
)
# Substring search (contract 5.1) in title or description.
Index(
    "ix_tasks_search",
    Task.title,
    Task.description,
    postgresql_using="gin",
    postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
    postgresql_where=text("NOT deleted"),
)
# For ON DELETE SET NULL. Most tasks refer to none.
for _name, _column in (
    ("ix_tasks_github_integration", Task.github_integration_id),
    ("ix_tasks_github_user_integration", Task.github_user_integration_id),
    ("ix_tasks_signal_report", Task.signal_report_id),
):
    Index(_name, _column, postgresql_where=_column.is_not(None))


class TaskPin(Base):
    __tablename__ = "task_pins"
    # For deleting a task.
    __table_args__ = (Index("ix_task_pins_task", "task_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    # Grows with each pin: times may be equal.
    place: Mapped[int] = mapped_column(Identity())


class ActivityMark(Base):
    """The time up to which a person has seen the activity of a task (contract 6.12). It never goes back."""

    __tablename__ = "activity_marks"
    # For deleting a task.
    __table_args__ = (Index("ix_activity_marks_task", "task_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    seen_at: Mapped[datetime]


class TaskCount(Base):
    """Numbers that triggers add to an audience's totals of tasks and changes, so that writers never wait (ADR 30)."""

    __tablename__ = "task_counts"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    audience: Mapped[int]
    archived: Mapped[bool]
    internal: Mapped[bool]
    # The number of tasks that this adds, negative for removed ones; and the number of changes of any kind.
    tasks: Mapped[int]
    changes: Mapped[int]
    folded: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        # For the sums of every list.
        Index("ix_task_counts_audience", "project_id", "audience"),
        # For folding.
        Index("ix_task_counts_fresh", "id", postgresql_where=text("NOT folded")),
        # Most rows live for seconds.
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": 0.05}},
    )
