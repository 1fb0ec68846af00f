"""Commands to running agents. An accepted row is the outbox: the run's worker reads it and records its result."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.enums import CommandMethod, CommandStatus
from app.json_types import JsonDict
from app.models.base import Base, one_of, rule


class RunCommand(Base):
    """A command. Inserted under the lock of the run's row, so that the order of `position` is that of the commits."""

    __tablename__ = "run_commands"
    __table_args__ = (
        one_of("method", CommandMethod),
        one_of("status", CommandStatus),
        rule("settled_at", "(status IN ('accepted', 'delivered')) = (settled_at IS NULL)"),
        # For the worker, for the limit of open commands, and for the end of a run.
        Index(
            "ix_run_commands_open",
            "run_id",
            "position",
            postgresql_where=text("status IN ('accepted', 'delivered')"),
        ),
        # For deleting a run or a user, and for a worker that reports commands dropped by others.
        Index("ix_run_commands_run", "run_id", "position"),
        Index("ix_run_commands_user", "user_id"),
        # For the sweep.
        Index("ix_run_commands_settled_at", "settled_at", postgresql_where=text("settled_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Identity(always=True))
    method: Mapped[str] = mapped_column(String(32))
    params: Mapped[JsonDict] = mapped_column(JSONB)
    # The caller's id of the request, which receipts repeat; NULL if there is none.
    rpc_id: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    status: Mapped[CommandStatus]
    # Why it was dropped or held back, or what it ended, in words for people. If the run is repeated, it decides what
    # becomes of the command (services/runs/command_delivery.py).
    reason: Mapped[str | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
