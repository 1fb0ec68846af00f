"""Traces of runs.

Purpose: keep with a run the span of the request that asked for its worker, so that workers continue its trace.
Locks: ACCESS EXCLUSIVE on `runs`, for one added column, without a rewrite.
Previous release: neither reads nor writes the column.

Revision ID: 0065
Revises: 0064
"""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("traceparent", sa.String(55), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "traceparent")
