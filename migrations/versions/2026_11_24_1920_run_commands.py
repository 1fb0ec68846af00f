"""Commands to live agents.

Purpose: keep commands of people to the agent of a run until it has them, and their outcome.
Locks: none but short ones on `runs` and `users` for the foreign keys; the table is new.
Previous release: knows nothing of the table; its workers leave commands unread, so drain them first.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run_commands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("params", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rpc_id", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "method IN ('user_message', 'cancel', 'close', 'permission_response', 'set_config_option')",
            name=op.f("ck_run_commands_method"),
        ),
        sa.CheckConstraint(
            "status IN ('accepted', 'delivered', 'consumed', 'dropped')",
            name=op.f("ck_run_commands_status"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_commands_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_run_commands_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_commands")),
    )
    op.create_index(
        "ix_run_commands_open",
        "run_commands",
        ["run_id", "position"],
        unique=False,
        postgresql_where=sa.text("status IN ('accepted', 'delivered')"),
    )
    op.create_index("ix_run_commands_run", "run_commands", ["run_id", "position"], unique=False)
    op.create_index("ix_run_commands_user", "run_commands", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_table("run_commands")
