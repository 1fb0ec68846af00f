"""Counts by a part of the repository.

Purpose: let both indexes of a part of `repository` hold the column itself. Without it the planner does not count by the
index alone, but reads each task that matches.
Locks: none that keeps anybody waiting; the indexes are built concurrently, under other names until the old ones go.
Previous release: uses them as before.

Revision ID: 0062
Revises: 0061
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

_LISTED_BY = ("audience", "archived", "internal")
_PARTS = {"ix_tasks_repository_owner": 1, "ix_tasks_repository_name": 2}


def upgrade() -> None:
    _replace((*_LISTED_BY, "repository"))


def downgrade() -> None:
    _replace(_LISTED_BY)


def _replace(include: tuple[str, ...]) -> None:
    for name, part in _PARTS.items():
        create_index_concurrently(
            f"{name}_new",
            "tasks",
            [
                "project_id",
                sa.text(f"split_part(repository, '/', {part})"),
                sa.text("created_at DESC"),
                sa.text("id DESC"),
            ],
            where="NOT deleted AND repository IS NOT NULL",
            include=include,
        )
        drop_index_concurrently(name, "tasks")
        op.execute(f"ALTER INDEX {name}_new RENAME TO {name}")
