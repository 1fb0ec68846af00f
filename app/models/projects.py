"""Organizations, their projects, and the members of projects."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import PushText
from app.models.base import Base, one_of


class Organization(Base):
    """A company or a group of people; owns projects."""

    __tablename__ = "organizations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class Project(Base):
    """A project, "team" in older names of the API. Slugs of its tasks begin with its name (contract 10.1)."""

    __tablename__ = "projects"
    # For the projects of keys that are limited to organizations, and for deleting one.
    __table_args__ = (one_of("push_text", PushText), Index(None, "organization_id"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(unique=True)
    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    api_token: Mapped[str] = mapped_column(String(64), unique=True)
    timezone: Mapped[str] = mapped_column(String(64), server_default=text("'UTC'"))
    # The most that pushes about its tasks may say; NULL: what each person prefers.
    push_text: Mapped[str | None] = mapped_column(String(16))
    # Whether agents may send messages to the people of its tasks.
    notify_user: Mapped[bool] = mapped_column(server_default=text("true"))
    # When a worker last claimed a run of it: claims go round by project (services/runs/queue/claim_order.py).
    claimed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class TaskCounter(Base):
    """The number of the next task of a project, locked and incremented by the transaction that creates it."""

    __tablename__ = "task_counters"
    # Free space on the page makes every increment a heap-only update.
    __table_args__ = {"postgresql_with": {"fillfactor": 50}}  # noqa: RUF012 - SQLAlchemy's declared form

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    next_number: Mapped[int] = mapped_column(server_default=text("0"))


class Membership(Base):
    __tablename__ = "memberships"
    # For a project's members, and for deleting it.
    __table_args__ = (Index(None, "project_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    created_at: Mapped[datetime]
