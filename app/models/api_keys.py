"""Personal API keys, of which only the hashes are stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class ApiKey(Base):
    """A personal API key, stored as a hash; limited to `scoped_teams` and `scoped_organizations`, if any."""

    __tablename__ = "api_keys"
    # For the list of a user's keys, and for deleting a user.
    __table_args__ = (Index(None, "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(40), server_default=text("''"))
    secret_hash: Mapped[str] = mapped_column(String(80), unique=True)
    mask: Mapped[str] = mapped_column(String(16))
    # NULL was full access upstream; here it allows nothing, like an empty list (contract 11, 13).
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    scoped_teams: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    scoped_organizations: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # From then on the key is refused like a revoked one; NULL: it does not expire.
    expires_at: Mapped[datetime | None]
