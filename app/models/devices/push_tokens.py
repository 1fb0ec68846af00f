"""Devices of users (contract 6.5)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import Platform
from app.models.base import Base, one_of


class PushToken(Base):
    """A device; its `id` is the `device_id` of presence. Console sessions and terminals have an empty token."""

    __tablename__ = "push_tokens"
    __table_args__ = (
        one_of("platform", Platform),
        # A user's devices, the most recently seen first.
        Index("ix_push_tokens_user", "user_id", text("last_seen_at DESC"), text("id DESC")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Expo's token, or a browser's subscription as JSON. Never shown, never logged. A session of the console has "": its
    # device has the id of the session, shows tasks, and gets no pushes.
    token: Mapped[str]
    # Unique in place of the token: a subscription may be longer than an index entry.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    platform: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    # Android's channels that the app has; a push through any other would not be shown.
    channels: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))


# Whether pushes can be sent to a device.
HAS_ADDRESS = PushToken.token != literal_column("''")
