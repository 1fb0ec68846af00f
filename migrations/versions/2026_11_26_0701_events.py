"""The ledger of events, where its readers are, and how many events a task and a run have.

Purpose: one record of what happened, written with each change; webhooks, streams and lists read it.
Locks: short ones on `projects` for the foreign keys, and on `tasks` and `runs` for columns with constant defaults,
which rewrite nothing.
Previous release: knows nothing of the tables and writes no events; it leaves the new columns at their defaults.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column(
            "transaction_id",
            sa.BigInteger(),
            server_default=sa.text("((pg_current_xact_id())::text)::bigint"),
            nullable=False,
        ),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("subject_seq", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "data",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_events_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("transaction_id", "seq", name=op.f("pk_events")),
    )
    op.create_index("ix_events_project", "events", ["project_id", "transaction_id", "seq"], unique=False)
    op.create_table(
        "event_snapshots",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("snapshot", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_event_snapshots")),
    )
    op.create_table(
        "event_cursors",
        sa.Column("reader", sa.String(length=32), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_event_cursors")),
    )
    op.create_table(
        "event_horizons",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_event_horizons_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_event_horizons")),
    )
    op.add_column("runs", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "runs", sa.Column("event_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "tasks", sa.Column("event_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("tasks", "event_count")
    op.drop_column("runs", "event_count")
    op.drop_column("runs", "started_at")
    op.drop_table("event_horizons")
    op.drop_table("event_cursors")
    op.drop_table("event_snapshots")
    op.drop_table("events")
