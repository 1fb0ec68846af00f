"""Unique indexes for foreign keys that name the project or the task too.

Purpose: let the next revisions refuse rows that refer to a row of another project or task.
Locks: none that keeps anybody waiting; the indexes are built concurrently.
Previous release: writes them as any index.
Contract: each begins with a primary key, so none refuses a row that was allowed.

Revision ID: 0057
Revises: 0056
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

_INDEXES = {
    "tasks": ["id", "project_id"],
    "runs": ["id", "task_id"],
    "integrations": ["id", "project_id"],
    "signal_reports": ["id", "project_id"],
}


def upgrade() -> None:
    for table, columns in _INDEXES.items():
        create_index_concurrently(f"uq_{table}_{'_'.join(columns)}", table, columns, unique=True)


def downgrade() -> None:
    for table, columns in _INDEXES.items():
        drop_index_concurrently(f"uq_{table}_{'_'.join(columns)}", table)
