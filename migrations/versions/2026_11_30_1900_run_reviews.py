"""Reviews of the changes of runs.

Purpose: keep what a person has viewed of the changes of a run, and their comments, for all their devices.
Locks: SHARE ROW EXCLUSIVE on `runs` and `users`, for the foreign keys of an empty table.
Previous release: neither reads nor writes it.

Revision ID: 0055
Revises: 0054
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_reviews",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", postgresql.JSONB(none_as_null=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_reviews_run_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_run_reviews_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "user_id", name="pk_run_reviews"),
    )
    op.create_index("ix_run_reviews_user_id", "run_reviews", ["user_id"])


def downgrade() -> None:
    op.drop_table("run_reviews")
