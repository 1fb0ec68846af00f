"""Tokens that came with a run, to act once in somebody's name (contract 5.8, `github_user_token`)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base

__all__ = ["RunCredential"]


class RunCredential(Base):
    """The token of one run, from the request to the run's end; services/runs/credentials.py writes and forgets it."""

    __tablename__ = "run_credentials"
    # What the sweep looks for.
    __table_args__ = (Index(None, "created_at"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    # Encrypted by `security.Cipher`.
    encrypted_token: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
