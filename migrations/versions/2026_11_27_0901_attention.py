"""Columns for pushes that wait for the right moment, say as much as is wanted, and go when they are handled.

Purpose: decide on a push again when it is due, with presence that says what was seen, quiet hours, reminders, and
notices that are retracted.
Locks: short ones; the CHECKs are added without looking at the rows, which hold them already.
Previous release: sends what is deferred or held when it is due, and knows nothing of the other columns, which have
defaults.

Revision ID: 0019
Revises: 0018
"""

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_KINDS = ("completed", "failed", "cancelled", "awaiting", "test", "webhook_disabled")
_DECISIONS = (
    "pending",
    "retrying",
    "sent",
    "delivered",
    "rejected",
    "given_up",
    "suppressed",
    "muted",
    "cooled_down",
    "no_token",
    "no_access",
)
_NEW_DECISIONS = (
    "deferred",
    "held_quiet_hours",
    "reminder",
    "retracted",
    "not_needed",
    "digested",
)
_URGENCIES = ("low", "normal", "high")
_PUSH_TEXTS = ("generic", "title", "full")
_JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
_JSON_LIST = postgresql.JSONB(astext_type=sa.Text())


def _hold(table: str, column: str, values: Iterable[str]) -> None:
    """Hold a column to these values."""
    words = ", ".join(f"'{value}'" for value in values)
    op.create_check_constraint(
        op.f(f"ck_{table}_{column}"), table, f"{column} IN ({words})", postgresql_not_valid=True
    )


def _widen(table: str, column: str, values: Iterable[str]) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
    _hold(table, column, values)


def upgrade() -> None:
    op.add_column("projects", sa.Column("push_text", sa.String(length=16), nullable=True))
    _hold("projects", "push_text", _PUSH_TEXTS)
    op.add_column("push_tokens", sa.Column("channels", _JSON, nullable=True))
    op.add_column(
        "presence", sa.Column("focused", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("presence", sa.Column("seen_seq", sa.BigInteger(), nullable=True))

    preferences = "notification_preferences"
    op.add_column(preferences, sa.Column("quiet_hours", _JSON, nullable=True))
    op.add_column(
        preferences,
        sa.Column("allow_during_quiet", _JSON_LIST, server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column(preferences, sa.Column("push_text", sa.String(length=16), nullable=True))
    _hold(preferences, "push_text", _PUSH_TEXTS)
    op.add_column(preferences, sa.Column("reminder_after_seconds", sa.Integer(), nullable=True))

    table = "notifications"
    op.add_column(table, sa.Column("question_id", sa.Uuid(), nullable=True))
    op.add_column(table, sa.Column("event_seq", sa.BigInteger(), nullable=True))
    op.add_column(table, sa.Column("urgency", sa.String(length=16), nullable=True))
    _hold(table, "urgency", _URGENCIES)
    op.add_column(table, sa.Column("history", _JSON_LIST, server_default=sa.text("'[]'"), nullable=False))
    op.add_column(table, sa.Column("deferred_for", sa.Float(), nullable=True))
    op.add_column(table, sa.Column("follow_up_at", sa.DateTime(timezone=True), nullable=True))
    _widen(table, "decision", (*_DECISIONS, *_NEW_DECISIONS))
    _widen(table, "kind", (*_KINDS, "digest"))
    _widen("push_cooldowns", "kind", (*_KINDS, "digest"))


def downgrade() -> None:
    table = "notifications"
    # What the previous vocabulary has no word for.
    op.execute("DELETE FROM push_cooldowns WHERE kind = 'digest'")
    op.execute("DELETE FROM notifications WHERE kind = 'digest'")
    op.execute(
        "UPDATE notifications SET decision = CASE"
        " WHEN decision IN ('deferred', 'held_quiet_hours') THEN 'pending'"
        " WHEN decision IN ('reminder', 'retracted') THEN 'sent' ELSE 'suppressed' END"
        " WHERE decision IN ('deferred', 'held_quiet_hours', 'reminder', 'retracted', 'not_needed', 'digested')"
    )
    _widen("push_cooldowns", "kind", _KINDS)
    _widen(table, "kind", _KINDS)
    _widen(table, "decision", _DECISIONS)
    for column in ("follow_up_at", "deferred_for", "history", "urgency", "event_seq", "question_id"):
        op.drop_column(table, column)
    for column in ("reminder_after_seconds", "push_text", "allow_during_quiet", "quiet_hours"):
        op.drop_column("notification_preferences", column)
    op.drop_column("presence", "seen_seq")
    op.drop_column("presence", "focused")
    op.drop_column("push_tokens", "channels")
    op.drop_column("projects", "push_text")
