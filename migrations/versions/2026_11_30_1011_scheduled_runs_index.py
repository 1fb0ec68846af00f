"""The index by which the sweep finds scheduled runs.

Purpose: find the scheduled runs whose time has come, every five seconds.
Locks: none that keeps anybody waiting; the index is built concurrently.
Previous release: does not use the index.

Revision ID: 0043
Revises: 0042
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_runs_scheduled", "runs"


def upgrade() -> None:
    create_index_concurrently(
        _NAME,
        _TABLE,
        ["scheduled_at"],
        where="status = 'not_started' AND scheduled_at IS NOT NULL AND dispatch_requested_at IS NULL",
    )


def downgrade() -> None:
    drop_index_concurrently(_NAME, _TABLE)
