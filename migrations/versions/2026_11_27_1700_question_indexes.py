"""An index for the commands that carry answers; the index of times at which questions expire is dropped.

Purpose: deleting a run deletes its commands, and each of these searched all questions for the answer that it carried.
No statement looks for questions by `expires_at`: the worker of a run closes them.
Locks: none that keeps anybody waiting; both are done concurrently.
Previous release: unaffected.

Revision ID: 0025
Revises: 0024
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLE = "questions"


def upgrade() -> None:
    create_index_concurrently("ix_questions_command", _TABLE, ["command_id"], where="command_id IS NOT NULL")
    drop_index_concurrently("ix_questions_expires_at", _TABLE)


def downgrade() -> None:
    create_index_concurrently(
        "ix_questions_expires_at",
        _TABLE,
        ["expires_at"],
        where="status = 'open' AND expires_at IS NOT NULL",
    )
    drop_index_concurrently("ix_questions_command", _TABLE)
