"""Indexes of sweeps.

Purpose: sweep old commands of runs, and cooldowns of pushes that are over, without reading the tables from end to end.
Locks: none that block writes; the indexes are built concurrently.
Previous release: does not use them.

Revision ID: 0061
Revises: 0060
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index_concurrently(
        "ix_run_commands_settled_at", "run_commands", ["settled_at"], where="settled_at IS NOT NULL"
    )
    create_index_concurrently("ix_push_cooldowns_expires_at", "push_cooldowns", ["expires_at"])


def downgrade() -> None:
    drop_index_concurrently("ix_push_cooldowns_expires_at", "push_cooldowns")
    drop_index_concurrently("ix_run_commands_settled_at", "run_commands")
