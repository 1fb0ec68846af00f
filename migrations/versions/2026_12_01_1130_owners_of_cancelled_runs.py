"""Owners of cancelled runs.

Purpose: keep with a cancelled run the job that held it, so that a job which had lost the run adds nothing to it.
Locks: ACCESS EXCLUSIVE on `runs`, for one added column, without a rewrite.
Previous release: neither reads nor writes the column. To a run that it cancels, any job that held it adds results.

Revision ID: 0066
Revises: 0065
"""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("cancelled_owner", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "cancelled_owner")
