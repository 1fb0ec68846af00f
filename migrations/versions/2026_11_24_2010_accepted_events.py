"""The number of the last event taken from an agent outside our workers.

Purpose: take each of them once, however often and by however many requests it is sent.
Locks: short, on `run_logs`; the default is constant, so no row is written.
Previous release: neither reads nor writes the column.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "run_logs", sa.Column("accepted_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("run_logs", "accepted_seq")
