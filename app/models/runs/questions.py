"""Questions of agents to people, the counts of open ones, and people's snoozes and follows (contract 15)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import AnswerVia, QuestionKind, QuestionRisk, QuestionStatus, Urgency
from app.json_types import JsonDict
from app.models.base import Base, constant, one_of, rule

# In PostgreSQL's own formatting, so that the drift check can compare the two.
_RANK = f"CASE urgency WHEN '{Urgency.HIGH}'::text THEN 0 WHEN '{Urgency.NORMAL}'::text THEN 1 ELSE 2 END"
_INBOX_ORDER = ("task_creator_id", "rank", "opened_at", "id")


class Question(Base):
    """A question of an agent to people. A conditional UPDATE of `status` closes it, so the first answer wins."""

    __tablename__ = "questions"
    __table_args__ = (
        one_of("kind", QuestionKind),
        one_of("risk", QuestionRisk),
        one_of("urgency", Urgency),
        one_of("status", QuestionStatus),
        one_of("answered_via", AnswerVia),
        rule("closed_at", "(status = 'open') = (closed_at IS NULL)"),
        ForeignKeyConstraint(["run_id", "task_id"], ["runs.id", "runs.task_id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["task_id", "project_id"], ["tasks.id", "tasks.project_id"], ondelete="CASCADE"),
        UniqueConstraint("run_id", "request_id"),
        # For the list and the count of an inbox, in its order; counts are index-only scans.
        Index(
            "ix_questions_inbox",
            *_INBOX_ORDER,
            postgresql_where=text("status = 'open'"),
            postgresql_include=["kind", "project_id"],
        ),
        # The same for all statuses; and for deleting a user.
        Index("ix_questions_history", *_INBOX_ORDER, postgresql_include=["kind", "project_id", "status"]),
        # For those that a person has missed lately.
        Index(
            "ix_questions_expired",
            "task_creator_id",
            "closed_at",
            postgresql_where=text("status = 'expired'"),
        ),
        # For deleting a run, with its commands.
        Index("ix_questions_command", "command_id", postgresql_where=text("command_id IS NOT NULL")),
        # For questions of tasks that a member follows, and for deleting a task.
        Index("ix_questions_task", "task_id", "opened_at"),
        # For the open questions of tasks that a member follows, a small part of all their questions.
        Index("ix_questions_open_of_task", "task_id", postgresql_where=text("status = 'open'")),
        # For deleting a user.
        Index("ix_questions_answered_by", "answered_by_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int]
    task_id: Mapped[UUID]
    run_id: Mapped[UUID]
    # A copy from the task, so that one index serves the inbox of its creator.
    task_creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    # The id of the question in the run's log.
    request_id: Mapped[str] = mapped_column(String(64))
    kind: Mapped[QuestionKind]
    # Masked and shortened; the run's log has the whole text.
    title: Mapped[str] = mapped_column(String(200))
    detail: Mapped[str]
    tool_call: Mapped[JsonDict | None]
    # Each has an id, a name and a kind.
    options: Mapped[list[JsonDict]] = mapped_column(JSONB, server_default=text("'[]'"))
    # JSON Schema of a form's answer; as text, since people see the fields in the agent's order.
    schema: Mapped[JsonDict | None] = mapped_column(JSON(none_as_null=True))
    # The page that a `url` question asks to open; the service never opens it.
    url: Mapped[str | None]
    risk: Mapped[QuestionRisk]
    urgency: Mapped[Urgency]
    # The order of urgencies, the most urgent first.
    rank: Mapped[int] = mapped_column(SmallInteger, Computed(_RANK, persisted=True))
    # SHA-256 of the question's content, so that an answer is valid only for the content that the person saw.
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    opened_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]

    status: Mapped[QuestionStatus]
    closed_at: Mapped[datetime | None]
    answer: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    answered_via: Mapped[AnswerVia | None]
    # For an answer by an action token: its notification and device, and the address and program that sent it.
    answered_from: Mapped[JsonDict | None]
    # The command that delivers the answer to the agent; its status is the progress of the answer. The key is checked at
    # the commit, because the question is closed before the command is inserted.
    command_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("run_commands.id", ondelete="SET NULL", deferrable=True, initially="DEFERRED")
    )

    @classmethod
    def is_open(cls) -> ColumnElement[bool]:
        """Return the SQL condition for open questions. It has no parameter, so that queries can use partial indexes."""
        return cls.status == constant(QuestionStatus.OPEN)


class QuestionCount(Base):
    """A part of the count of a person's open questions, which is the sum of all rows (ADR 30)."""

    __tablename__ = "question_counts"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[QuestionKind]
    # The number of questions that opened, negative for questions that closed.
    questions: Mapped[int]
    # Whether this row is the sum of several.
    folded: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        # For the sum of an inbox.
        Index("ix_question_counts_user", "user_id", "project_id"),
        # For deleting a project.
        Index("ix_question_counts_project", "project_id"),
        # For the rows that are to be added up.
        Index("ix_question_counts_fresh", "id", postgresql_where=text("NOT folded")),
        # Most rows live for seconds.
        {"postgresql_with": {"autovacuum_vacuum_scale_factor": 0.05}},
    )


class QuestionSnooze(Base):
    """The time until which a user gets no pushes about a question. The question stays in the user's inbox."""

    __tablename__ = "question_snoozes"
    # For deleting a user.
    __table_args__ = (Index("ix_question_snoozes_user", "user_id"),)

    question_id: Mapped[UUID] = mapped_column(
        ForeignKey("questions.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    until: Mapped[datetime]


class TaskFollow(Base):
    """The choice of a member of a project to have the questions of another person's task in their own inbox."""

    __tablename__ = "task_follows"
    # For deleting a task.
    __table_args__ = (Index("ix_task_follows_task", "task_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime]
