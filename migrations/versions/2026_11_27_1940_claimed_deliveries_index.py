"""An index of the webhook deliveries that are claimed.

Purpose: each claim counts the deliveries under way. Without this index it reads all pending ones for that, which with
10,000 of them is most of its time.
Locks: none that keeps anybody waiting; it is built concurrently.
Previous release: unaffected.

Revision ID: 0030
Revises: 0029
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_webhook_endpoint_deliveries_claimed", "webhook_endpoint_deliveries"


def upgrade() -> None:
    create_index_concurrently(
        _NAME, _TABLE, ["endpoint_id"], where="status = 'pending' AND leased_until IS NOT NULL"
    )


def downgrade() -> None:
    drop_index_concurrently(_NAME, _TABLE)
