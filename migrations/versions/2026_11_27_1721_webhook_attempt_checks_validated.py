"""Validate the CHECKs of the revision before.

Purpose: let the new CHECKs hold all rows.
Locks: none that block readers or writers; rows are read after the transaction that added the CHECKs.
Previous release: unaffected.

Revision ID: 0027
Revises: 0026
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for column in ("outcome", "error"):
            op.execute(f"ALTER TABLE webhook_attempts VALIDATE CONSTRAINT ck_webhook_attempts_{column}")


def downgrade() -> None:
    pass
