"""An index for the open questions of tasks that a member follows.

Purpose: read an inbox without the closed questions of followed tasks.
Locks: none that keeps anybody waiting; the index is made concurrently.
Previous release: unaffected.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_questions_open_of_task",
            "questions",
            ["task_id"],
            postgresql_where=sa.text("status = 'open'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_questions_open_of_task", table_name="questions", postgresql_concurrently=True)
