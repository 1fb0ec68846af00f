"""Sign-ins of browsers: each acts as the API key that it was opened with."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, rule


class ConsoleSession(Base):
    """The sign-in of a browser (`secret_hash`), or a login link that was not used yet (`code_hash`)."""

    __tablename__ = "console_sessions"
    __table_args__ = (
        rule("secret", "num_nonnulls(secret_hash, code_hash) = 1"),
        Index(None, "key_id"),
        Index(None, "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    # Of the cookie's value.
    secret_hash: Mapped[str | None] = mapped_column(String(80), unique=True)
    # Of the code in a login link.
    code_hash: Mapped[str | None] = mapped_column(String(80), unique=True)
    created_at: Mapped[datetime]
    # Written at most hourly.
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    # What signed in.
    user_agent: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))
