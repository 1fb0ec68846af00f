"""Code hosts and signal reports, to which tasks may refer (contract 11, 24)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import CodeHostKind, SignalReportRelationship
from app.models.base import Base, one_of, rule


class Integration(Base):
    """A project's access to a code host: by a token, or by an installation of a GitHub App."""

    __tablename__ = "integrations"
    __table_args__ = (
        # For the code host of a project's task or run, and for deleting a project.
        Index(None, "project_id", "kind", "id"),
        # For the foreign key of tasks.
        Index("uq_integrations_id_project_id", "id", "project_id", unique=True),
        one_of("kind", CodeHostKind),
        rule("installation", "num_nulls(app_id, installation_id, encrypted_private_key) IN (0, 3)"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    # `Cipher` encrypts columns named `encrypted_…`; services/accounts/secret_rotation.py relies on the name.
    encrypted_token: Mapped[str | None]
    # A GitHub App in place of a token: all three or none.
    app_id: Mapped[str | None] = mapped_column(String(64))
    installation_id: Mapped[str | None] = mapped_column(String(64))
    encrypted_private_key: Mapped[str | None]
    # Signs the host's webhooks (services/code_hosts/github_webhook.py).
    encrypted_webhook_secret: Mapped[str | None]
    api_url: Mapped[str | None] = mapped_column(String(500))
    git_url: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime]


class UserIntegration(Base):
    """A user's own access to a code host, by a token."""

    __tablename__ = "user_integrations"
    # For a user's own code host, and for deleting a user.
    __table_args__ = (Index(None, "user_id", "kind"), one_of("kind", CodeHostKind))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    encrypted_token: Mapped[str | None]
    created_at: Mapped[datetime]


class SignalReport(Base):
    """A signal report: a finding about a product, for which people can create tasks."""

    __tablename__ = "signal_reports"
    __table_args__ = (
        # For deleting a project.
        Index(None, "project_id"),
        # For the foreign key of tasks.
        Index("uq_signal_reports_id_project_id", "id", "project_id", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class SignalReportTask(Base):
    """A row that links a task to the signal report that it is about. `relationship` is the kind of link."""

    __tablename__ = "signal_report_tasks"
    __table_args__ = (
        UniqueConstraint("report_id", "task_id", "relationship"),
        # For deleting a task.
        Index(None, "task_id"),
        one_of("relationship", SignalReportRelationship),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(ForeignKey("signal_reports.id", ondelete="CASCADE"))
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    relationship: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
