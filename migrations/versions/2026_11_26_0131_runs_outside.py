"""Index for runs that agents outside our workers perform.

Purpose: find those that are silent without reading all runs.
Locks: none that keeps anybody waiting; the index is made concurrently.
Previous release: unaffected.

Revision ID: 0012
Revises: 0011
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_runs_outside", "runs"


def upgrade() -> None:
    create_index_concurrently(
        _NAME, _TABLE, ["updated_at"], where="status = 'in_progress' AND lease_expires_at IS NULL"
    )


def downgrade() -> None:
    drop_index_concurrently(_NAME, _TABLE)
