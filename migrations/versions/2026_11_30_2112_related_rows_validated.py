"""Validate the constraints of the revision before, and drop the foreign keys that they make needless.

Purpose: let the new rules hold all rows. A key of a task and its project implies that of the project.
Locks: none that keeps anybody waiting while rows are read. To drop a key, ACCESS EXCLUSIVE on two tables, for a moment.
Previous release: unaffected, the new keys refuse what the dropped ones did.

Revision ID: 0059
Revises: 0058
"""

from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_VALIDATED = {
    "notifications": (
        "ck_notifications_settled_at",
        "ck_notifications_waiting",
        "ck_notifications_due_at",
        "ck_notifications_receipt_due_at",
        "ck_notifications_replaces",
        "ck_notifications_device",
        "ck_notifications_watching",
        "ck_notifications_run",
        "fk_notifications_run_id_task_id",
    ),
    "run_commands": ("ck_run_commands_settled_at",),
    "runs": ("ck_runs_completed_at", "fk_runs_task_id_project_id"),
    "presence": ("fk_presence_task_id_project_id",),
    "questions": ("fk_questions_task_id_project_id", "fk_questions_run_id_task_id"),
    "pushed_branches": ("fk_pushed_branches_run_id_task_id",),
    "ci_failures": ("fk_ci_failures_follow_up_run_id_task_id",),
    "tasks": (
        "ck_tasks_archived_at",
        "fk_tasks_latest_run_id_id",
        "fk_tasks_github_integration_id_project_id",
        "fk_tasks_signal_report_id_project_id",
    ),
}
_NEEDLESS = (
    ("runs", "task_id", "tasks", "CASCADE"),
    ("runs", "project_id", "projects", "CASCADE"),
    ("presence", "task_id", "tasks", "CASCADE"),
    ("presence", "project_id", "projects", "CASCADE"),
    ("questions", "project_id", "projects", "CASCADE"),
    ("questions", "task_id", "tasks", "CASCADE"),
    ("questions", "run_id", "runs", "CASCADE"),
    ("notifications", "run_id", "runs", "CASCADE"),
    ("pushed_branches", "run_id", "runs", "CASCADE"),
    ("pushed_branches", "task_id", "tasks", "CASCADE"),
    ("ci_failures", "follow_up_run_id", "runs", "SET NULL"),
    ("tasks", "latest_run_id", "runs", "SET NULL"),
    ("tasks", "github_integration_id", "integrations", "SET NULL"),
    ("tasks", "signal_report_id", "signal_reports", "SET NULL"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, names in _VALIDATED.items():
            for name in names:
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
        for table, column, _, _ in _NEEDLESS:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS fk_{table}_{column}")


def downgrade() -> None:
    for table, column, target, ondelete in _NEEDLESS:
        op.create_foreign_key(
            op.f(f"fk_{table}_{column}"), table, target, [column], ["id"], ondelete=ondelete
        )
