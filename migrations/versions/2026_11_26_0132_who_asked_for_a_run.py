"""The person who asked for a run, and the task as it stood then.

Purpose: have a run that acts with an account or an environment of one person do what that person asked for.
Locks: the table `runs` is locked for a moment; columns without a default rewrite nothing.
Previous release: neither reads nor writes them; its runs act as the task's creator, as they did.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("asked_by_id", sa.BigInteger(), nullable=True))
    op.add_column("runs", sa.Column("asked_task", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "asked_task")
    op.drop_column("runs", "asked_by_id")
