"""Recoveries of webhook endpoints that are under way.

Purpose: the relay makes the missing deliveries of a recovery in batches; the request made all of them, in its
transaction.
Locks: none that is held; one new table, with a foreign key to `webhook_endpoints`.
Previous release: makes the deliveries in the request. Its workers do not read this table: a recovery waits for a worker
of this release.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_recoveries",
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("continued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_recoveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_webhook_recoveries")),
    )


def downgrade() -> None:
    op.drop_table("webhook_recoveries")
