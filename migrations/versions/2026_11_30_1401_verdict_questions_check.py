"""Validate the CHECK of the revision before.

Purpose: let the new CHECK hold all rows.
Locks: none that keeps anybody waiting; rows are read behind the transaction that added the CHECK.
Previous release: unaffected.

Revision ID: 0050
Revises: 0049
"""

from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE questions VALIDATE CONSTRAINT ck_questions_kind")


def downgrade() -> None:
    pass
