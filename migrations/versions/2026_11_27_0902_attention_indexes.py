"""Indexes for pushes that wait and for those that are followed up; CHECKs are validated.

Purpose: find what presence, the end of a question and a reminder settle, without reading the history; let the new
CHECKs hold all rows.
Locks: none that keeps anybody waiting; the indexes are made concurrently, and rows are read for the CHECKs behind the
transaction that added them.
Previous release: unaffected.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

from migrations.indexes import create_index_concurrently, drop_index_concurrently

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
_INDEXES = (
    (
        "ix_notifications_held",
        ["user_id", "task_id"],
        "decision IN ('deferred', 'held_quiet_hours')",
    ),
    ("ix_notifications_question", ["question_id"], "question_id IS NOT NULL"),
    ("ix_notifications_follow_up", ["follow_up_at"], "follow_up_at IS NOT NULL AND sent_at IS NOT NULL"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in _CHECKS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{column}")
    for name, columns, where in _INDEXES:
        create_index_concurrently(name, _TABLE, columns, where=where)


def downgrade() -> None:
    for name, _, _ in reversed(_INDEXES):
        drop_index_concurrently(name, _TABLE)
