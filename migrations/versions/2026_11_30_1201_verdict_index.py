"""The index by which the task list finds runs with a verdict.

Purpose: the filter `verdict` of the task list.
Locks: none that keeps anybody waiting; the index is built concurrently.
Previous release: does not use the index.

Revision ID: 0046
Revises: 0045
"""

import sqlalchemy as sa

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_NAME, _TABLE = "ix_runs_verdict", "runs"


def upgrade() -> None:
    create_index_concurrently(
        _NAME,
        _TABLE,
        ["project_id", sa.text("(verification ->> 'verdict'::text)"), "task_id"],
        where="verification IS NOT NULL",
    )


def downgrade() -> None:
    drop_index_concurrently(_NAME, _TABLE)
