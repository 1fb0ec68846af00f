"""Event ids, signs of life and the end of the events of agents outside our workers; expiry of keys.

Purpose: take an event once that comes by two ways, end runs with a silent agent, and let keys expire.
Locks: short, on `run_logs` and `api_keys`; the new columns are empty, so no row is written.
Previous release: neither reads nor writes the table or the columns; it lets an expired key in.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_event_ids",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_event_ids_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "event_id", name=op.f("pk_run_event_ids")),
    )
    op.add_column("run_logs", sa.Column("completed_seq", sa.BigInteger(), nullable=True))
    op.add_column("run_logs", sa.Column("heard_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "expires_at")
    op.drop_column("run_logs", "heard_at")
    op.drop_column("run_logs", "completed_seq")
    op.drop_table("run_event_ids")
