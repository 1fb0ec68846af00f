"""User accounts: people who create tasks and get pushes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.json_types import JsonDict
from app.models.base import Base


class User(Base):
    """The account of a user. When it is deleted, its tasks become visible to the whole project (contract 4)."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    uuid: Mapped[UUID] = mapped_column(unique=True)
    distinct_id: Mapped[str] = mapped_column(String(200), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    first_name: Mapped[str] = mapped_column(String(150), server_default=text("''"))
    last_name: Mapped[str] = mapped_column(String(150), server_default=text("''"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_staff: Mapped[bool] = mapped_column(server_default=text("false"))
    is_email_verified: Mapped[bool | None]
    hedgehog_config: Mapped[JsonDict | None]
    role_at_organization: Mapped[str | None] = mapped_column(String(64))
    current_project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id", ondelete="SET NULL"))
    date_joined: Mapped[datetime]


# For deleting a project.
Index("ix_users_current_project", User.current_project_id)
# One account per address, in any letter case.
Index("uq_users_email", func.lower(User.email), unique=True)
