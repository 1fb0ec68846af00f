"""Validate the CHECKs of the revision before.

Purpose: let the new CHECKs hold all rows.
Locks: none that block readers or writers; rows are read after the transaction that added the CHECKs.
Previous release: unaffected.

Revision ID: 0052
Revises: 0051
"""

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

_CHECKS = {
    "console_sessions": ("secret",),
    "questions": ("closed_at",),
    "runs": ("lease",),
    "tasks": ("activity", "deleted_at"),
    "verifications": ("lease", "previous_verdict"),
    "webhook_endpoints": ("enabled",),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, names in _CHECKS.items():
            for name in names:
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{name}")


def downgrade() -> None:
    pass
