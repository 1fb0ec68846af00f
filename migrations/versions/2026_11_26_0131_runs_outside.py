"""Index for runs that agents outside our workers perform.

Purpose: find those that are silent without reading all runs.
Locks: none that keeps anybody waiting; the index is made concurrently.
Previous release: unaffected.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_runs_outside",
            "runs",
            ["updated_at"],
            postgresql_where=sa.text("status = 'in_progress' AND lease_expires_at IS NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_runs_outside", table_name="runs", postgresql_concurrently=True)
