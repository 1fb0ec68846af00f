"""Presence and push.

Purpose: remember devices, who is looking at which task, every push with its decision, and what people want to hear.
Locks: short ones on `users`, `projects`, `tasks` and `runs` for the foreign keys; all tables are new.
Previous release: knows nothing of the tables and works beside them.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("completed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("failed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("cancelled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("awaiting", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "push_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("platform IN ('ios', 'android', 'web')", name=op.f("ck_push_tokens_platform")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_push_tokens_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_push_tokens_token_hash")),
    )
    op.create_index(
        "ix_push_tokens_user",
        "push_tokens",
        ["user_id", sa.literal_column("last_seen_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "presence",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("push_token_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_presence_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["push_token_id"], ["push_tokens.id"], name=op.f("fk_presence_push_token_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_presence_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_presence_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "push_token_id", name=op.f("pk_presence")),
        postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.05},
    )
    op.create_index("ix_presence_expires_at", "presence", ["expires_at"], unique=False)
    op.create_index("ix_presence_push_token", "presence", ["push_token_id"], unique=False)
    op.create_index("ix_presence_user", "presence", ["user_id"], unique=False)
    op.create_table(
        "task_mutes",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_mutes_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_task_mutes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "task_id", name=op.f("pk_task_mutes")),
    )
    op.create_index("ix_task_mutes_task", "task_mutes", ["task_id"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("platform", sa.String(length=16), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("watching_device_id", sa.Uuid(), nullable=True),
        sa.Column("watching_beat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ticket_id", sa.String(length=128), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "decision IN ('pending', 'retrying', 'sent', 'delivered', 'rejected', 'given_up', 'suppressed', 'muted', 'cooled_down', 'no_token', 'no_access')",
            name=op.f("ck_notifications_decision"),
        ),
        sa.CheckConstraint(
            "kind IN ('completed', 'failed', 'cancelled', 'awaiting', 'test')",
            name=op.f("ck_notifications_kind"),
        ),
        sa.CheckConstraint("platform IN ('ios', 'android', 'web')", name=op.f("ck_notifications_platform")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_notifications_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_notifications_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notifications_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index("ix_notifications_created_at", "notifications", ["created_at"], unique=False)
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_notifications_history",
        "notifications",
        ["task_id", "user_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_notifications_receipt_due",
        "notifications",
        ["receipt_due_at"],
        unique=False,
        postgresql_where=sa.text("receipt_due_at IS NOT NULL"),
    )
    op.create_index("ix_notifications_run", "notifications", ["run_id"], unique=False)
    op.create_index("ix_notifications_user", "notifications", ["user_id"], unique=False)
    op.create_table(
        "push_cooldowns",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('completed', 'failed', 'cancelled', 'awaiting', 'test')",
            name=op.f("ck_push_cooldowns_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_push_cooldowns_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "kind", name=op.f("pk_push_cooldowns")),
    )


def downgrade() -> None:
    for table in (
        "push_cooldowns",
        "notifications",
        "task_mutes",
        "presence",
        "push_tokens",
        "notification_preferences",
    ):
        op.drop_table(table)
