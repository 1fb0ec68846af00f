"""Key pairs with which this installation signs tokens."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class SigningKey(Base):
    """A key pair for one kind of token, made at its first use and shared by all processes that can decrypt it.

    `purpose` is the kind; further keys, of processes that cannot, have a mark of their own behind it.
    """

    __tablename__ = "signing_keys"

    purpose: Mapped[str] = mapped_column(String(32), primary_key=True)
    # Names the key in the header of what it signs.
    key_id: Mapped[str] = mapped_column(String(32))
    # PEM, encrypted under the first of TASKBEACON_SECRET_KEYS.
    private_key: Mapped[str]
    created_at: Mapped[datetime]
