"""Index of missed questions.

Purpose: show a person which questions have expired lately without reading all that they were ever asked.
Locks: none that block writes; the index is built concurrently.
Previous release: does not use it.

Revision ID: 0067
Revises: 0066
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

_INDEX = ("ix_questions_expired", "questions")


def upgrade() -> None:
    create_index_concurrently(*_INDEX, ["task_creator_id", "closed_at"], where="status = 'expired'")


def downgrade() -> None:
    drop_index_concurrently(*_INDEX)
