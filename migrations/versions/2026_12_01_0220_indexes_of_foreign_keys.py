"""Indexes of foreign keys.

Purpose: delete users, projects, integrations and signal reports without reading the tables that refer to them from end
to end.
Locks: none that block writes; the indexes are built concurrently.
Previous release: does not use them.

Revision ID: 0064
Revises: 0063
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

# Name, table, column, and whether the column is mostly NULL.
_INDEXES = (
    ("ix_tasks_github_user_integration", "tasks", "github_user_integration_id", True),
    ("ix_tasks_signal_report", "tasks", "signal_report_id", True),
    ("ix_users_current_project", "users", "current_project_id", False),
    ("ix_idempotency_keys_user", "idempotency_keys", "user_id", False),
    ("ix_sandbox_environments_creator", "sandbox_environments", "created_by_id", False),
)


def upgrade() -> None:
    for name, table, column, is_sparse in _INDEXES:
        where = f"{column} IS NOT NULL" if is_sparse else None
        create_index_concurrently(name, table, [column], where=where)


def downgrade() -> None:
    for name, table, _column, _is_sparse in _INDEXES:
        drop_index_concurrently(name, table)
