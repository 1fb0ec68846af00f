"""An index for the open questions of tasks that a member follows.

Purpose: read an inbox without the closed questions of followed tasks.
Locks: none that keeps anybody waiting; the index is made concurrently.
Previous release: unaffected.

Revision ID: 0022
Revises: 0021
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_questions_open_of_task", "questions"


def upgrade() -> None:
    create_index_concurrently(_NAME, _TABLE, ["task_id"], where="status = 'open'")


def downgrade() -> None:
    drop_index_concurrently(_NAME, _TABLE)
