"""Runs that begin at a later time, and hints of a task for its first run.

Purpose: keep the time for which a run was created, and what a task's creation hints for its first run.
Locks: ACCESS EXCLUSIVE on `runs` and `tasks`, for one added column each, without a rewrite.
Previous release: neither reads nor writes the columns. It starts no scheduled run, and the first run that it creates
takes no hints; they go to the next run then.

Revision ID: 0042
Revises: 0041
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tasks", sa.Column("encrypted_hints", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "encrypted_hints")
    op.drop_column("runs", "scheduled_at")
