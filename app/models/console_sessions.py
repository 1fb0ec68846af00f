"""Sign-ins of browsers, which act as the API key that they were opened with, and of terminals, which get a key."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, rule


class ConsoleSession(Base):
    """The sign-in of a browser (`secret_hash`), or a login link that was not used yet (`code_hash`)."""

    __tablename__ = "console_sessions"
    __table_args__ = (
        rule("secret", "num_nonnulls(secret_hash, code_hash) = 1"),
        # For the sessions of a key, and for deleting it.
        Index(None, "key_id"),
        # For the sweep.
        Index(None, "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    # The hash of the cookie's value.
    secret_hash: Mapped[str | None] = mapped_column(String(80), unique=True)
    # The hash of the code in a login link.
    code_hash: Mapped[str | None] = mapped_column(String(80), unique=True)
    created_at: Mapped[datetime]
    # Written at most hourly.
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(64))


class TerminalLogin(Base):
    """A terminal that waits for a person to confirm its code (contract 21); the row goes when it fetches its key."""

    __tablename__ = "terminal_logins"
    # For deleting a key or a project, for the sweep, and for counting what waits at an address before more may.
    __table_args__ = tuple(Index(None, name) for name in ("key_id", "project_id", "expires_at", "address"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # The hash of the secret with which the terminal asks for its key.
    device_hash: Mapped[str] = mapped_column(String(80), unique=True)
    # The hash of the code that a person types.
    code_hash: Mapped[str] = mapped_column(String(80), unique=True)
    # The name that the terminal gives itself, and its IP address.
    client: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    is_refused: Mapped[bool] = mapped_column(server_default=false())
    # The key of the person who confirmed; NULL until then.
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    project_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("projects.id", ondelete="CASCADE"))
