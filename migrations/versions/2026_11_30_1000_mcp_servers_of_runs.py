"""MCP servers that runs bring for their agents.

Purpose: keep the MCP servers of a run, encrypted, until it is over.
Locks: ACCESS EXCLUSIVE on `runs`, for one added column, without a rewrite.
Previous release: neither reads nor writes the column. Its workers give agents no such servers, and a run that they end
keeps what is stored until its task is deleted.

Revision ID: 0041
Revises: 0040
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("encrypted_mcp_servers", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "encrypted_mcp_servers")
