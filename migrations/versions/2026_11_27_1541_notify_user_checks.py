"""Validate the CHECKs of the revision before.

Purpose: let the new CHECKs hold all rows.
Locks: none that keeps anybody waiting; rows are read behind the transaction that added the CHECKs.
Previous release: unaffected.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_CHECKS = (("notifications", "kind"), ("notifications", "decision"), ("push_cooldowns", "kind"))


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in _CHECKS:
            op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{column}")


def downgrade() -> None:
    pass
