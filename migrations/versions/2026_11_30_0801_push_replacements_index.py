"""The index of reminders and retractions that are due, and the CHECK of purposes validated.

Purpose: allow one reminder and one retraction of a notice at a time.
Locks: none that keeps anybody waiting; the index is built concurrently.
Previous release: looks for `follow_up_at` without an index from now on, once a second.
Contract: only rows with `replaces` are in the unique index, and no release before this one writes such rows.

Revision ID: 0036
Revises: 0035
"""

from alembic import op

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_NAME, _OLD, _TABLE = "ix_notifications_replaces", "ix_notifications_follow_up", "notifications"


def upgrade() -> None:
    create_index_concurrently(
        _NAME,
        _TABLE,
        ["replaces", "purpose"],
        where="replaces IS NOT NULL AND due_at IS NOT NULL",
        unique=True,
    )
    drop_index_concurrently(_OLD, _TABLE)
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE notifications VALIDATE CONSTRAINT ck_notifications_purpose")


def downgrade() -> None:
    create_index_concurrently(
        _OLD, _TABLE, ["follow_up_at"], where="follow_up_at IS NOT NULL AND sent_at IS NOT NULL"
    )
    drop_index_concurrently(_NAME, _TABLE)
