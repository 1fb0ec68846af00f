"""Last claims of projects.

Purpose: remember when a worker last claimed a run of a project, so that claims go round by project.
Locks: ACCESS EXCLUSIVE on `projects`, for a nullable column without a default.
Previous release: neither reads nor writes it. Its workers claim in the order of jobs until they are replaced.

Revision ID: 0060
Revises: 0059
"""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "claimed_at")
