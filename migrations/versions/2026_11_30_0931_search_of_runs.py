"""Indexes to find the pull requests and artifacts of runs by a part of their texts.

Purpose: bound the time of `GET …/tasks/search`.
Locks: none that keeps anybody waiting; the indexes are built concurrently.
Previous release: keeps the indexes up to date, and does not read them.

Revision ID: 0038
Revises: 0037
"""

import sqlalchemy as sa

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_TABLE = "runs"


def upgrade() -> None:
    create_index_concurrently(
        "ix_runs_search",
        _TABLE,
        [
            sa.text("(output ->> 'pr_url') gin_trgm_ops"),
            sa.text("(jsonb_path_query_array(artifacts, '$[*].name')::text) gin_trgm_ops"),
        ],
        using="gin",
    )
    create_index_concurrently(
        "ix_runs_project", _TABLE, ["project_id", sa.text("created_at DESC"), sa.text("id DESC")]
    )


def downgrade() -> None:
    drop_index_concurrently("ix_runs_project", _TABLE)
    drop_index_concurrently("ix_runs_search", _TABLE)
