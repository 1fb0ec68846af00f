"""Reports of verdicts to code hosts.

Purpose: put the verdict of a run on its pull request and its commit, also after an outage of the code host.
Locks: SHARE ROW EXCLUSIVE on `runs`, for the foreign key of an empty table.
Previous release: neither reads nor writes it.

Revision ID: 0047
Revises: 0046
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "verdict_reports",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("due_at", _TIME, nullable=True),
        sa.Column("has_section", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_verdict_reports_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name="pk_verdict_reports"),
    )
    op.create_index(
        "ix_verdict_reports_due",
        "verdict_reports",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("verdict_reports")
