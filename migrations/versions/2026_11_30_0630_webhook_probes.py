"""The time of the next probe of a webhook endpoint that refuses everything.

Purpose: such an endpoint gets one message at a time, less and less often, by all workers together.
Locks: ACCESS EXCLUSIVE on `webhook_endpoints` for the moment of an added column.
Previous release: neither reads nor writes the column: its workers send as before. A time that it leaves behind at a
success is not read, since the endpoint has no failures in a row then.

Revision ID: 0034
Revises: 0033
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_endpoints", sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("webhook_endpoints", "probe_at")
