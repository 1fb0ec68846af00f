"""What the code host's own checks say of pushed commits.

Purpose: show it beside the verdict of a run.
Locks: ACCESS EXCLUSIVE on `pushed_branches`, for one added column, without a rewrite.
Previous release: neither reads nor writes it. A commit that it records for the same run keeps what was said of the one
before, which is shown only with the commit that it was said of.

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "pushed_branches",
        sa.Column("ci", JSONB(none_as_null=True), server_default=sa.text("'{}'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("pushed_branches", "ci")
