"""Pins of tasks.

Purpose: let users pin tasks, each for themselves.
Locks: none; the table is new. SHARE ROW EXCLUSIVE on `users` and `tasks` for a moment, for its foreign keys.
Previous release: does not know the table.

Revision ID: 0037
Revises: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_PINS = "task_pins"


def upgrade() -> None:
    op.create_table(
        _PINS,
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_pins_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_task_pins_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "task_id", name=op.f("pk_task_pins")),
    )
    op.create_index("ix_task_pins_task", _PINS, ["task_id"])


def downgrade() -> None:
    op.drop_table(_PINS)
