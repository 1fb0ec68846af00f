"""The number of tasks that each audience of a project sees, and a count of their changes.

Purpose: count the tasks of a list, and decide whether an earlier answer still holds, without reading the tasks.
Locks: writes of `tasks` and `runs` wait while the existing tasks are counted: about a second for a million.
Previous release: its writes are counted too, by the triggers; it reads nothing of this.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TASK_CHANGED = """
CREATE FUNCTION note_task_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- A project that goes takes its tasks and their counts along.
        INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes)
        SELECT OLD.project_id, OLD.audience, OLD.archived, OLD.internal, CASE WHEN OLD.deleted THEN 0 ELSE -1 END, 1
        FROM projects WHERE id = OLD.project_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes)
        VALUES (NEW.project_id, NEW.audience, NEW.archived, NEW.internal, CASE WHEN NEW.deleted THEN 0 ELSE 1 END, 1);
    END IF;
    RETURN NULL;
END $$
"""
_TASK_LOOKS_OTHERWISE = """
CREATE FUNCTION note_task_look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes)
    VALUES (NEW.project_id, NEW.audience, NEW.archived, NEW.internal, 0, 1);
    RETURN NULL;
END $$
"""
_RUN_IS_IN_STAGE = """
CREATE FUNCTION note_stage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes)
    SELECT project_id, audience, archived, internal, 0, 1 FROM tasks WHERE id = NEW.task_id;
    RETURN NULL;
END $$
"""
# Columns that decide how often a task counts, and for whom.
_COUNTED = "project_id, created_by_id, origin_product, archived, internal, deleted"
# Columns that decide which filters find it, and where it stands.
_LISTED = "title, description, repository, latest_run_status, task_number, created_at"

_TRIGGERS = f"""
CREATE TRIGGER tasks_come_and_go AFTER INSERT OR DELETE ON tasks
    FOR EACH ROW EXECUTE FUNCTION note_task_change();
CREATE TRIGGER tasks_move AFTER UPDATE OF {_COUNTED} ON tasks
    FOR EACH ROW EXECUTE FUNCTION note_task_change();
CREATE TRIGGER tasks_look_otherwise AFTER UPDATE OF {_LISTED} ON tasks
    FOR EACH ROW EXECUTE FUNCTION note_task_look();
CREATE TRIGGER runs_begin_in_stage AFTER INSERT ON runs
    FOR EACH ROW WHEN (NEW.stage IS NOT NULL) EXECUTE FUNCTION note_stage();
CREATE TRIGGER runs_change_stage AFTER UPDATE OF stage ON runs
    FOR EACH ROW WHEN (OLD.stage IS DISTINCT FROM NEW.stage) EXECUTE FUNCTION note_stage()
"""
_COUNT = """
INSERT INTO task_counts (project_id, audience, archived, internal, tasks, changes, folded)
SELECT project_id, audience, archived, internal, count(*), 1, true FROM tasks WHERE NOT deleted
GROUP BY project_id, audience, archived, internal
"""


def upgrade() -> None:
    op.create_table(
        "task_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.BigInteger(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("tasks", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("folded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_task_counts_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_counts")),
        postgresql_with={"autovacuum_vacuum_scale_factor": 0.05},
    )
    op.create_index("ix_task_counts_audience", "task_counts", ["project_id", "audience"])
    op.create_index("ix_task_counts_fresh", "task_counts", ["id"], postgresql_where=sa.text("NOT folded"))
    for statement in (_TASK_CHANGED, _TASK_LOOKS_OTHERWISE, _RUN_IS_IN_STAGE, *_TRIGGERS.split(";")):
        op.execute(statement)
    # Behind the triggers, which wait for writers and then keep them away until this is committed.
    op.execute(_COUNT)


def downgrade() -> None:
    for trigger in ("tasks_come_and_go", "tasks_move", "tasks_look_otherwise"):
        op.execute(f"DROP TRIGGER {trigger} ON tasks")
    for trigger in ("runs_begin_in_stage", "runs_change_stage"):
        op.execute(f"DROP TRIGGER {trigger} ON runs")
    for function in ("note_task_change", "note_task_look", "note_stage"):
        op.execute(f"DROP FUNCTION {function}()")
    op.drop_table("task_counts")
