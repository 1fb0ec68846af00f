"""Indexes for pushes that wait and for those that are followed up; CHECKs are validated.

Purpose: find what presence, the end of a question and a reminder settle, without reading the history; let the new
CHECKs hold all rows.
Locks: none that keeps anybody waiting; the indexes are made concurrently, and rows are read for the CHECKs behind the
transaction that added them.
Previous release: unaffected.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLE = "notifications"
# What the revision before has added without looking at the rows.
_CHECKS = (
    ("projects", "push_text"),
    ("notification_preferences", "push_text"),
    ("notifications", "urgency"),
    ("notifications", "decision"),
    ("notifications", "kind"),
    ("push_cooldowns", "kind"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in _CHECKS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{column}")
        op.create_index(
            "ix_notifications_held",
            _TABLE,
            ["user_id", "task_id"],
            postgresql_where=sa.text("decision IN ('deferred', 'held_quiet_hours')"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_notifications_question",
            _TABLE,
            ["question_id"],
            postgresql_where=sa.text("question_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_notifications_follow_up",
            _TABLE,
            ["follow_up_at"],
            postgresql_where=sa.text("follow_up_at IS NOT NULL AND sent_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in ("ix_notifications_follow_up", "ix_notifications_question", "ix_notifications_held"):
            op.drop_index(name, table_name=_TABLE, postgresql_concurrently=True)
