"""CHECKs for columns that change together, and foreign keys that hold rows in one project or task.

Purpose: let the database refuse rows that no release writes: a run of another project than its task's, a run that is
over and has no end, a push that nothing sends or settles.
Locks: ACCESS EXCLUSIVE on one table at a time, SHARE ROW EXCLUSIVE on the one that it refers to, for a moment: no row
is read. The next revision validates.
Previous release: unaffected, it writes no other rows.
Contract: release 0.1.0 writes rows of one project and task, and the columns of each CHECK together.

Revision ID: 0058
Revises: 0057
"""

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

_CHECKS = (
    (
        "notifications",
        {
            "settled_at": "num_nonnulls(due_at, receipt_due_at, settled_at) > 0",
            "waiting": "decision NOT IN ('pending', 'retrying', 'deferred', 'held_quiet_hours') OR due_at IS NOT NULL",
            "due_at": "due_at IS NULL OR device_id IS NOT NULL",
            "receipt_due_at": "receipt_due_at IS NULL OR (sent_at IS NOT NULL AND ticket_id IS NOT NULL)",
            "replaces": "(purpose = 'notice') = (replaces IS NULL)",
            "device": "(device_id IS NULL) = (platform IS NULL)",
            "watching": "(watching_device_id IS NULL) = (watching_beat_at IS NULL)",
            "run": "run_id IS NULL OR task_id IS NOT NULL",
        },
    ),
    ("run_commands", {"settled_at": "(status IN ('accepted', 'delivered')) = (settled_at IS NULL)"}),
    (
        "runs",
        {"completed_at": "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)"},
    ),
    ("tasks", {"archived_at": "archived = (archived_at IS NOT NULL)"}),
)
_OF_TASK = ("tasks", ["id", "project_id"])
_OF_RUN = ("runs", ["id", "task_id"])
_KEYS = (
    ("runs", ["task_id", "project_id"], *_OF_TASK, "CASCADE"),
    ("presence", ["task_id", "project_id"], *_OF_TASK, "CASCADE"),
    ("questions", ["task_id", "project_id"], *_OF_TASK, "CASCADE"),
    ("questions", ["run_id", "task_id"], *_OF_RUN, "CASCADE"),
    ("notifications", ["run_id", "task_id"], *_OF_RUN, "CASCADE"),
    ("pushed_branches", ["run_id", "task_id"], *_OF_RUN, "CASCADE"),
    ("ci_failures", ["follow_up_run_id", "task_id"], *_OF_RUN, "SET NULL (follow_up_run_id)"),
    ("tasks", ["latest_run_id", "id"], *_OF_RUN, "SET NULL (latest_run_id)"),
    (
        "tasks",
        ["github_integration_id", "project_id"],
        "integrations",
        ["id", "project_id"],
        "SET NULL (github_integration_id)",
    ),
    (
        "tasks",
        ["signal_report_id", "project_id"],
        "signal_reports",
        ["id", "project_id"],
        "SET NULL (signal_report_id)",
    ),
)


def upgrade() -> None:
    # Each in its own transaction, so that it holds its locks for a moment; an upgrade that failed can be repeated.
    with op.get_context().autocommit_block():
        for table, checks in _CHECKS:
            for name, rule in checks.items():
                _add(table, f"ck_{table}_{name}", f"CHECK ({rule})")
        for table, columns, target, keys, ondelete in _KEYS:
            referred = f"{target} ({', '.join(keys)}) ON DELETE {ondelete}"
            name = f"fk_{table}_{'_'.join(columns)}"
            _add(table, name, f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {referred}")


def _add(table: str, name: str, rule: str) -> None:
    op.execute(
        f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} {rule} NOT VALID"
    )


def downgrade() -> None:
    for table, columns, *_ in reversed(_KEYS):
        op.drop_constraint(op.f(f"fk_{table}_{'_'.join(columns)}"), table, type_="foreignkey")
    for table, checks in reversed(_CHECKS):
        for name in checks:
            op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
