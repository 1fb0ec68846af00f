"""Verifications: the attempts to check what runs delivered, and what checks showed of the bases."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from typing_extensions import TypedDict

from app.enums import Verdict
from app.json_types import JsonDict
from app.models.base import Base, has_lease_of, one_of
from app.verdicts.definitions import StoredDefinitions


class Delivery(TypedDict):
    """What a run has delivered, and how it ends if its agent does not correct that."""

    output: Any
    has_schema: bool  # so that the output is the agent's alone
    state: JsonDict
    stage: str | None
    # Of the agent's work: how long it took, and the commit at which it began.
    worked_seconds: float
    began: str
    # The digests of the failures that the agent was to correct before.
    earlier: list[str]


class Verification(Base):
    """One attempt to check the commit that a run delivered. A row without an end is the outbox of its job."""

    __tablename__ = "verifications"
    __table_args__ = (
        one_of("previous_verdict", Verdict),
        has_lease_of("finished_at IS NULL"),
        # Open attempts: those that wait, and those with a lease, to find lapsed ones.
        Index("ix_verifications_open", "created_at", postgresql_where=text("finished_at IS NULL")),
        # A run has at most one open attempt.
        Index("uq_verifications_open", "run_id", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # From 1, in the order of creation.
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    # The commits that the run delivered and began from.
    commit: Mapped[str] = mapped_column(String(64))
    base: Mapped[str | None] = mapped_column(String(64))
    # NULL if the run was over before.
    delivery: Mapped[Delivery | None] = mapped_column(JSONB(none_as_null=True))
    # The verdict before, if the run was over.
    previous_verdict: Mapped[Verdict | None]
    # NULL: they are read when the attempt begins.
    definitions: Mapped[StoredDefinitions | None] = mapped_column(JSONB(none_as_null=True))
    # The attempt as the API shows it.
    shown: Mapped[JsonDict]
    # The message to the agent, if it is to correct its work.
    repair: Mapped[str | None]
    # The digest of the checks and cases that failed, to notice a repair that corrects nothing.
    failures: Mapped[str | None] = mapped_column(String(64))

    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    # The job that performs the attempt, and the end of its lease without a heartbeat.
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None]
    # The number of workers that the attempt has lost.
    losses: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class VerdictReport(Base):
    """The report of a run's verdict to its code host; a due row is the outbox of it."""

    __tablename__ = "verdict_reports"
    # For claims.
    __table_args__ = (Index("ix_verdict_reports_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    asked_at: Mapped[datetime]
    # When it is to be sent, also if the worker that sends it now is lost; NULL: it was sent, or given up.
    due_at: Mapped[datetime | None]
    # Whether the pull request was given a section about the verdict, which people may have removed since.
    has_section: Mapped[bool] = mapped_column(server_default=text("false"))


class KeptBase(Base):
    """What a check showed of a base, so that other attempts and runs need not run it there again."""

    __tablename__ = "kept_bases"
    __table_args__ = (
        # For the sweep.
        Index(None, "created_at"),
        # For deleting a project.
        Index(None, "project_id"),
    )

    # SHA-256 of all that decides the result.
    key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    # JSON, compressed: a report may have 100,000 cases.
    result: Mapped[bytes]
    created_at: Mapped[datetime]
