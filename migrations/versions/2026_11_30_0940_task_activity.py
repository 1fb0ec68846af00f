"""The newest activity of tasks, and what people have seen of it.

Purpose: sort tasks by their newest event, and show people what they have not seen. The next revision fills
in the activity of tasks that are there already.
Locks: the table `tasks` is locked for a moment; its rows are not written.
Previous release: unaffected. What it does with tasks until it has gone does not count as activity.

Revision ID: 0039
Revises: 0038
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_COLUMNS = ("last_activity_at", "activity_at", "activity_kind", "activity_by_id", "activity_subject_id")
_CHECK = "ck_tasks_activity_kind"


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.add_column(
        "tasks", sa.Column("last_activity_at", time, server_default=sa.text("now()"), nullable=False)
    )
    op.add_column("tasks", sa.Column("activity_at", time, nullable=True))
    op.add_column("tasks", sa.Column("activity_kind", sa.String(16), nullable=True))
    op.add_column("tasks", sa.Column("activity_by_id", sa.BigInteger(), nullable=True))
    op.add_column("tasks", sa.Column("activity_subject_id", sa.Uuid(), nullable=True))
    op.execute(
        f"ALTER TABLE tasks ADD CONSTRAINT {_CHECK} "
        "CHECK (activity_kind IN ('created', 'awaiting_input', 'completed', 'message')) NOT VALID"
    )
    op.create_table(
        "activity_marks",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", time, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_activity_marks_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_activity_marks_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "task_id", name=op.f("pk_activity_marks")),
    )
    op.create_index("ix_activity_marks_task", "activity_marks", ["task_id"])


def downgrade() -> None:
    op.drop_table("activity_marks")
    op.drop_constraint(_CHECK, "tasks")
    for name in _COLUMNS:
        op.drop_column("tasks", name)
