"""An index of the webhook deliveries that are claimed.

Purpose: each claim counts the deliveries under way. Without this index it reads all pending ones for that, which with
10,000 of them is most of its time.
Locks: none that keeps anybody waiting; it is built concurrently.
Previous release: unaffected.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_webhook_endpoint_deliveries_claimed", "webhook_endpoint_deliveries"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            _NAME,
            _TABLE,
            ["endpoint_id"],
            postgresql_where=sa.text("status = 'pending' AND leased_until IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(_NAME, table_name=_TABLE, postgresql_concurrently=True)
