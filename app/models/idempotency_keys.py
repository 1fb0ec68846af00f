"""Stored responses for requests that are repeated with an Idempotency-Key, kept for a day."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class IdempotencyKey(Base):
    """An Idempotency-Key with the response to its request, written in the transaction of that request."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        # For the sweep.
        Index("ix_idempotency_keys_created_at", "created_at"),
        # For deleting a user.
        Index("ix_idempotency_keys_user", "user_id"),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    # SHA-256 of method, path and body: the body itself may hold a token.
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
