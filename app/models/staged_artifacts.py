"""Staged artifacts: verified uploads that wait for the next run of their task."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import ArtifactType
from app.models.base import Base, one_of


class StagedArtifact(Base):
    """A file that a client uploaded for the next run of a task, which takes it over; unused ones expire."""

    __tablename__ = "staged_artifacts"
    __table_args__ = (
        one_of("type", ArtifactType),
        # For the sweep.
        Index("ix_staged_artifacts_expires_at", "expires_at"),
    )

    # The id comes from the client, so it is unique only within the task.
    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    artifact_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    content_type: Mapped[str] = mapped_column(String(255))
    storage_path: Mapped[str] = mapped_column(String(500))
    uploaded_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    # The id of a user, as manifests of runs keep it: without a reference. None: uploaded by an earlier release.
    uploaded_by_id: Mapped[int | None]
