"""An index for the commands that carry answers; the index of times at which questions expire is dropped.

Purpose: deleting a run deletes its commands, and each of these searched all questions for the answer that it carried.
No statement looks for questions by `expires_at`: the worker of a run closes them.
Locks: none that keeps anybody waiting; both are done concurrently.
Previous release: unaffected.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLE = "questions"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_questions_command",
            _TABLE,
            ["command_id"],
            postgresql_where=sa.text("command_id IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_questions_expires_at", table_name=_TABLE, postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_questions_expires_at",
            _TABLE,
            ["expires_at"],
            postgresql_where=sa.text("status = 'open' AND expires_at IS NOT NULL"),
            postgresql_concurrently=True,
        )
        op.drop_index("ix_questions_command", table_name=_TABLE, postgresql_concurrently=True)
