"""Indexes for the order in which runs are claimed, and for the limit on runs of a project.

Purpose: find the run of a project that has waited longest, its place in the line, and how many of a project are held.
Locks: none that keeps anybody waiting; the indexes are made concurrently.
Previous release: unaffected; its sweep reads the index on leases, which is small, from end to end.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_WAITING = sa.text("status = 'queued' AND dispatch_requested_at IS NOT NULL")
_HELD = sa.text("status = 'in_progress' AND lease_expires_at IS NOT NULL")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_runs_waiting",
            "runs",
            ["project_id", "dispatch_requested_at", "id"],
            postgresql_where=_WAITING,
            postgresql_concurrently=True,
        )
        op.create_index(
            "ix_runs_held",
            "runs",
            ["project_id", "lease_expires_at"],
            postgresql_where=_HELD,
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_lease", table_name="runs", postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_runs_lease",
            "runs",
            ["lease_expires_at"],
            postgresql_where=_HELD,
            postgresql_concurrently=True,
        )
        op.drop_index("ix_runs_held", table_name="runs", postgresql_concurrently=True)
        op.drop_index("ix_runs_waiting", table_name="runs", postgresql_concurrently=True)
