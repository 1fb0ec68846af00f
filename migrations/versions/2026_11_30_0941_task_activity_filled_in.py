"""The activity of tasks that are there already, the indexes for it, and versions of lists that count it.

Purpose: earlier tasks get the time of their newest event, or of their newest run if the ledger no longer has events of
them. What has happened to them counts as seen. Versions of lists count activity too, and only what has changed.
Locks: tasks are written in batches, and the indexes are built concurrently.
Previous release: unaffected. Of the index by creator there is always one, the earlier or the wider one.

Revision ID: 0040
Revises: 0039
"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_BATCH = 5000
# The ledger has no index by task: it is read once.
_NEWEST_EVENTS = """
CREATE TEMPORARY TABLE newest_events AS
SELECT task_id, max(occurred_at) AS at FROM events WHERE task_id IS NOT NULL GROUP BY task_id
"""
_LAST_OF_BATCH = sa.text(
    "SELECT max(id::text)::uuid FROM (SELECT id FROM tasks WHERE id > :after ORDER BY id LIMIT :batch) AS batch"
)
_FILL_IN = sa.text(
    """
    WITH filled AS (
        UPDATE tasks SET
            last_activity_at = greatest(tasks.created_at, event.at, newest.created_at, ended.completed_at),
            activity_at = ended.completed_at,
            activity_kind = CASE WHEN ended.id IS NOT NULL THEN 'completed' END,
            activity_subject_id = ended.id
        FROM tasks AS task
        LEFT JOIN newest_events AS event ON event.task_id = task.id
        LEFT JOIN runs AS newest ON newest.id = task.latest_run_id
        LEFT JOIN LATERAL (
            SELECT id, completed_at FROM runs
            WHERE task_id = task.id AND completed_at IS NOT NULL ORDER BY completed_at DESC LIMIT 1
        ) AS ended ON true
        WHERE task.id = tasks.id AND task.id > :after AND task.id <= :last
        RETURNING tasks.id, tasks.created_by_id, coalesce(tasks.activity_at, tasks.created_at) AS at
    )
    INSERT INTO activity_marks (user_id, task_id, seen_at)
    SELECT created_by_id, id, at FROM filled WHERE created_by_id IS NOT NULL
    UNION
    SELECT user_id, id, at FROM filled JOIN task_follows ON task_id = id
    ON CONFLICT DO NOTHING
    """
)
_LISTED = ("title", "description", "repository", "latest_run_status", "task_number", "created_at")
_OLD, _NEW = (", ".join(f"{row}.{name}" for name in _LISTED) for row in ("OLD", "NEW"))
_TRIGGER = f"""
CREATE OR REPLACE TRIGGER tasks_look_otherwise AFTER UPDATE OF {", ".join(_LISTED)}, last_activity_at ON tasks
    FOR EACH ROW WHEN (
        OLD.last_activity_at IS DISTINCT FROM NEW.last_activity_at OR ({_OLD}) IS DISTINCT FROM ({_NEW})
    ) EXECUTE FUNCTION note_task_look()
"""
_EARLIER_TRIGGER = f"""
CREATE OR REPLACE TRIGGER tasks_look_otherwise AFTER UPDATE OF {", ".join(_LISTED)} ON tasks
    FOR EACH ROW EXECUTE FUNCTION note_task_look()
"""
_INDEX, _BY_CREATOR, _EARLIER_BY_CREATOR = "ix_tasks_activity", "ix_tasks_creator", "ix_tasks_created_by"
_OF_CREATOR = ("created_by_id", "project_id", sa.text("created_at DESC"), sa.text("id DESC"))
_FLAGS = ("audience", "archived", "internal")
_ACTIVITY = ("activity_at", "activity_kind", "activity_by_id", "activity_subject_id")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection, after = op.get_bind(), UUID(int=0)
        connection.execute(sa.text("DROP TABLE IF EXISTS newest_events"))
        connection.execute(sa.text(_NEWEST_EVENTS))
        connection.execute(sa.text("ANALYZE newest_events"))
        while last := connection.scalar(_LAST_OF_BATCH, {"after": after, "batch": _BATCH}):
            connection.execute(_FILL_IN, {"after": after, "last": last})
            after = last
        connection.execute(sa.text("DROP TABLE newest_events"))
        # Behind the writes above, which need not be counted.
        connection.execute(sa.text(_TRIGGER))
        connection.execute(sa.text("ALTER TABLE tasks VALIDATE CONSTRAINT ck_tasks_activity_kind"))
    create_index_concurrently(
        _INDEX,
        "tasks",
        ["project_id", "audience", sa.text("last_activity_at DESC"), sa.text("id DESC")],
        where="NOT deleted",
        include=["archived", "internal"],
    )
    create_index_concurrently(
        _BY_CREATOR, "tasks", _OF_CREATOR, where="NOT deleted", include=[*_FLAGS, *_ACTIVITY]
    )
    drop_index_concurrently(_EARLIER_BY_CREATOR, "tasks")


def downgrade() -> None:
    create_index_concurrently(_EARLIER_BY_CREATOR, "tasks", _OF_CREATOR, where="NOT deleted", include=_FLAGS)
    drop_index_concurrently(_BY_CREATOR, "tasks")
    drop_index_concurrently(_INDEX, "tasks")
    op.execute(_EARLIER_TRIGGER)
