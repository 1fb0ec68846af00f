"""The lease of the process that writes about a pushed branch at its code host.

Purpose: the text of a pull request is replaced as a whole, so only one process at a time may change it.
Locks: ACCESS EXCLUSIVE on `pushed_branches` for an added column, without a rewrite.
Previous release: neither reads nor writes it, and writes without the lease, as before.

Revision ID: 0054
Revises: 0053
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pushed_branches", sa.Column("writing_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("pushed_branches", "writing_until")
