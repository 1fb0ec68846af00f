"""Indexes for the order in which runs are claimed, and for the limit on runs of a project.

Purpose: find the run of a project that has waited longest, its place in the line, and how many of a project are held.
Locks: none that keeps anybody waiting; the indexes are made concurrently.
Previous release: unaffected; its sweep reads the index on leases, which is small, from end to end.

Revision ID: 0008
Revises: 0007
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLE = "runs"
_WAITING = "status = 'queued' AND dispatch_requested_at IS NOT NULL"
_HELD = "status = 'in_progress' AND lease_expires_at IS NOT NULL"


def upgrade() -> None:
    create_index_concurrently(
        "ix_runs_waiting", _TABLE, ["project_id", "dispatch_requested_at", "id"], where=_WAITING
    )
    create_index_concurrently("ix_runs_held", _TABLE, ["project_id", "lease_expires_at"], where=_HELD)
    drop_index_concurrently("ix_runs_lease", _TABLE)


def downgrade() -> None:
    create_index_concurrently("ix_runs_lease", _TABLE, ["lease_expires_at"], where=_HELD)
    drop_index_concurrently("ix_runs_held", _TABLE)
    drop_index_concurrently("ix_runs_waiting", _TABLE)
