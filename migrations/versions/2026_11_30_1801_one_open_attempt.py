"""One open attempt to check a run, by a unique index.

Purpose: that a run has one open attempt at most is a rule of the table, no longer of its writers alone.
Locks: none that keeps anybody waiting; the index is built concurrently.
Previous release: knows no attempts.
Contract: nothing breaks the rule. An attempt is opened under the lock of its run's row, and only if no other is open.

Revision ID: 0053
Revises: 0052
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_concurrently(
        "uq_verifications_open", "verifications", ["run_id"], where="finished_at IS NULL", unique=True
    )


def downgrade() -> None:
    drop_index_concurrently("uq_verifications_open", "verifications")
