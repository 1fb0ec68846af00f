"""Task lists by the verdict about the latest run, and by what the code host's checks say of it.

Purpose: the filters `verdict` and `ci_status` of the task list, and its order by verdict.
Locks: none that keeps anybody waiting; the indexes are built concurrently, and the trigger is replaced at once.
Previous release: writes neither column. A run that it creates leaves the values of the run before with its task until
the new run ends.

Revision ID: 0046
Revises: 0045
"""

import sqlalchemy as sa
from alembic import op

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

_VERDICT, _CI = "ix_tasks_verdict", "ix_tasks_ci"
_NEWEST_FIRST = (sa.text("created_at DESC"), sa.text("id DESC"))
_LISTED = ("title", "description", "repository", "latest_run_status", "task_number", "created_at")
_MIRRORED = ("verdict_urgency", "latest_run_ci")


def _trigger(*listed: str) -> str:
    old, new = (", ".join(f"{row}.{name}" for name in listed) for row in ("OLD", "NEW"))
    return f"""
    CREATE OR REPLACE TRIGGER tasks_look_otherwise AFTER UPDATE OF {", ".join(listed)}, last_activity_at ON tasks
        FOR EACH ROW WHEN (
            OLD.last_activity_at IS DISTINCT FROM NEW.last_activity_at OR ({old}) IS DISTINCT FROM ({new})
        ) EXECUTE FUNCTION note_task_look()
    """


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(_trigger(*_LISTED, *_MIRRORED))
        op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_latest_run_ci")
    create_index_concurrently(
        _VERDICT,
        "tasks",
        ["project_id", "audience", sa.text("verdict_urgency DESC"), *_NEWEST_FIRST],
        where="NOT deleted",
        include=["archived", "internal"],
    )
    create_index_concurrently(
        _CI,
        "tasks",
        ["project_id", "latest_run_ci", *_NEWEST_FIRST],
        where="NOT deleted AND latest_run_id IS NOT NULL",
        include=["audience", "archived", "internal"],
    )


def downgrade() -> None:
    drop_index_concurrently(_CI, "tasks")
    drop_index_concurrently(_VERDICT, "tasks")
    op.execute(_trigger(*_LISTED))
