"""Presence: which device shows which task (contract 7.1)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Presence(Base):
    """The report of a device that it shows a task, valid until `expires_at`. An expired row is treated as absent."""

    __tablename__ = "presence"
    __table_args__ = (
        ForeignKeyConstraint(["task_id", "project_id"], ["tasks.id", "tasks.project_id"], ondelete="CASCADE"),
        # For the sweep.
        Index("ix_presence_expires_at", "expires_at"),
        # For deleting a token or a user.
        Index("ix_presence_push_token", "push_token_id"),
        Index("ix_presence_user", "user_id"),
        # Small and hot: most rows are rewritten every half minute, so dead ones are collected early.
        {"postgresql_with": {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.05}},
    )

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    push_token_id: Mapped[UUID] = mapped_column(
        ForeignKey("push_tokens.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
    # Whether a person looks at it; only then are pushes deferred.
    focused: Mapped[bool] = mapped_column(server_default=text("true"))
    # The number in the ledger up to which the client has shown everything; NULL for clients that do not say.
    seen_seq: Mapped[int | None]
