"""Presence: which devices show which tasks right now (contract 7.1)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Presence(Base):
    """A device that shows a task until `expires_at`; a row at or past its expiry counts as absent."""

    __tablename__ = "presence"
    __table_args__ = (
        # What the sweeper looks for.
        Index("ix_presence_expires_at", "expires_at"),
        # What the end of a token or of a user looks for.
        Index("ix_presence_push_token", "push_token_id"),
        Index("ix_presence_user", "user_id"),
        # Small and hot: most rows are rewritten every half minute, so dead ones are collected early.
        {"postgresql_with": {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.05}},
    )

    task_id: Mapped[UUID] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    push_token_id: Mapped[UUID] = mapped_column(
        ForeignKey("push_tokens.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
