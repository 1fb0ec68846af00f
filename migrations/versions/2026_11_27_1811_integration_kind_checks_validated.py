"""Validate the CHECKs of the revision before.

Purpose: let the new CHECKs hold all rows.
Locks: none that block readers or writers; rows are read after the transaction that added the CHECKs.
Previous release: unaffected.

Revision ID: 0029
Revises: 0028
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table in ("integrations", "user_integrations"):
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_kind")


def downgrade() -> None:
    pass
