"""Sandbox environments: the network and the variables of agents."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import NetworkAccessLevel
from app.models.base import Base, one_of


class SandboxEnvironment(Base):
    """Network rules and environment variables for the runs that select them; private to the creator, or shared."""

    __tablename__ = "sandbox_environments"
    __table_args__ = (
        one_of("network_access_level", NetworkAccessLevel),
        # A project's environments, newest first.
        Index("ix_sandbox_environments_project", "project_id", text("created_at DESC"), text("id DESC")),
        # For deleting a user.
        Index("ix_sandbox_environments_creator", "created_by_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    # NULL after the creator was deleted; a private environment is then visible to no user.
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(255))
    network_access_level: Mapped[str] = mapped_column(String(16))
    allowed_domains: Mapped[list[str]] = mapped_column(ARRAY(String(255)))
    include_default_domains: Mapped[bool]
    repositories: Mapped[list[str]] = mapped_column(ARRAY(String(255)))
    # Values by name, encrypted by `Cipher`. Never shown, never logged.
    encrypted_variables: Mapped[dict[str, str]] = mapped_column(JSONB)
    # The names of the variables that set-up and checks get too.
    for_checks: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    private: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
