"""Columns for messages of agents to the people of their tasks.

Purpose: agents can ask for attention (`notify_user`): what they say, whether a project lets them, and whether a person
wants it.
Locks: short ones; the CHECKs are added without looking at the rows, which hold them already.
Previous release: makes no such rows, and lets its agents send none; it sends those that are due, without their title.

Revision ID: 0023
Revises: 0022
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_KINDS = ("completed", "failed", "cancelled", "awaiting", "test", "webhook_disabled", "digest")
_DECISIONS = (
    "pending",
    "retrying",
    "sent",
    "deferred",
    "held_quiet_hours",
    "reminder",
    "retracted",
    "delivered",
    "rejected",
    "given_up",
    "suppressed",
    "not_needed",
    "digested",
    "muted",
    "cooled_down",
    "no_token",
    "no_access",
)


def _widen(table: str, column: str, values: Iterable[str]) -> None:
    """Hold a column to these values."""
    name, words = op.f(f"ck_{table}_{column}"), ", ".join(f"'{value}'" for value in values)
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({words})", postgresql_not_valid=True)


def upgrade() -> None:
    for table in ("projects", "notification_preferences"):
        op.add_column(
            table, sa.Column("notify_user", sa.Boolean(), server_default=sa.text("true"), nullable=False)
        )
    op.add_column("notifications", sa.Column("title", sa.String(length=80), nullable=True))
    for table in ("notifications", "push_cooldowns"):
        _widen(table, "kind", (*_KINDS, "notify_user"))
    _widen("notifications", "decision", (*_DECISIONS, "throttled"))


def downgrade() -> None:
    # What the previous vocabulary has no word for.
    for table in ("notifications", "push_cooldowns"):
        op.execute(f"DELETE FROM {table} WHERE kind = 'notify_user'")  # noqa: S608 - our own names
        _widen(table, "kind", _KINDS)
    _widen("notifications", "decision", _DECISIONS)
    op.drop_column("notifications", "title")
    for table in ("notification_preferences", "projects"):
        op.drop_column(table, "notify_user")
