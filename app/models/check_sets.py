"""Check sets: what a project's runs are set up with and checked by."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.json_types import JsonDict
from app.models.base import Base


class CheckSet(Base):
    """The set-up and checks for the runs of one repository of a project, or of all its repositories."""

    __tablename__ = "check_sets"
    __table_args__ = (
        # One for each repository, and one for all.
        Index(
            "uq_check_sets_repository",
            "project_id",
            "repository",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        # A project's sets, newest first.
        Index("ix_check_sets_project", "project_id", text("created_at DESC"), text("id DESC")),
        # For deleting a user.
        Index("ix_check_sets_created_by", "created_by_id"),
        Index("ix_check_sets_updated_by", "updated_by_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    # In lower case; NULL for all repositories.
    repository: Mapped[str | None] = mapped_column(String(255))
    # The fields of the wire (schemas/checks/check_sets.py), with defaults filled in.
    definition: Mapped[JsonDict]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime]
    updated_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
