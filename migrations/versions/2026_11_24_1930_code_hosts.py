"""Code hosts: GitHub Apps, tokens that come with a run, pushed branches and what CI says of them.

Purpose: reach a host as an App installation; act once in a caller's name; keep which run pushed which branch, and start
follow-up runs for failed checks.
Locks: short ones on `integrations` for the new columns, and on `tasks`, `runs` and `integrations` for foreign keys.
Previous release: knows nothing of the columns and tables and works beside it.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", sa.String(length=100), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_received_at"), "webhook_deliveries", ["received_at"], unique=False
    )
    op.create_table(
        "ci_failures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("head_sha", sa.String(length=64), nullable=False),
        sa.Column("follow_up_run_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["follow_up_run_id"],
            ["runs.id"],
            name=op.f("fk_ci_failures_follow_up_run_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_ci_failures_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ci_failures")),
        sa.UniqueConstraint(
            "task_id", "branch", "head_sha", name=op.f("uq_ci_failures_task_id_branch_head_sha")
        ),
    )
    op.create_index(
        op.f("ix_ci_failures_follow_up_run_id"),
        "ci_failures",
        ["follow_up_run_id"],
        unique=False,
        postgresql_where=sa.text("follow_up_run_id IS NOT NULL"),
    )
    op.create_table(
        "pushed_branches",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.BigInteger(), nullable=True),
        sa.Column("repository", sa.String(length=255), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("base_branch", sa.String(length=255), nullable=True),
        sa.Column("head_sha", sa.String(length=64), nullable=False),
        sa.Column("pull_request_number", sa.BigInteger(), nullable=True),
        sa.Column("pull_request_url", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["integration_id"],
            ["integrations.id"],
            name=op.f("fk_pushed_branches_integration_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_pushed_branches_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_pushed_branches_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_pushed_branches")),
    )
    op.create_index(
        "ix_pushed_branches_branch",
        "pushed_branches",
        ["repository", "branch", sa.literal_column("created_at DESC")],
        unique=False,
    )
    op.create_index(
        op.f("ix_pushed_branches_integration_id"),
        "pushed_branches",
        ["integration_id"],
        unique=False,
        postgresql_where=sa.text("integration_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_pushed_branches_task_id"), "pushed_branches", ["task_id"], unique=False)
    op.create_table(
        "run_credentials",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("encrypted_token", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_credentials_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_credentials")),
    )
    op.create_index(op.f("ix_run_credentials_created_at"), "run_credentials", ["created_at"], unique=False)
    op.add_column("integrations", sa.Column("app_id", sa.String(length=64), nullable=True))
    op.add_column("integrations", sa.Column("installation_id", sa.String(length=64), nullable=True))
    op.add_column("integrations", sa.Column("encrypted_private_key", sa.Text(), nullable=True))
    op.add_column("integrations", sa.Column("encrypted_webhook_secret", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_integrations_installation"),
        "integrations",
        "(app_id IS NULL) = (installation_id IS NULL) AND (app_id IS NULL) = (encrypted_private_key IS NULL)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_integrations_installation"), "integrations", type_="check")
    op.drop_column("integrations", "encrypted_webhook_secret")
    op.drop_column("integrations", "encrypted_private_key")
    op.drop_column("integrations", "installation_id")
    op.drop_column("integrations", "app_id")
    op.drop_index(op.f("ix_run_credentials_created_at"), table_name="run_credentials")
    op.drop_table("run_credentials")
    op.drop_index(op.f("ix_pushed_branches_task_id"), table_name="pushed_branches")
    op.drop_index(
        op.f("ix_pushed_branches_integration_id"),
        table_name="pushed_branches",
        postgresql_where=sa.text("integration_id IS NOT NULL"),
    )
    op.drop_index("ix_pushed_branches_branch", table_name="pushed_branches")
    op.drop_table("pushed_branches")
    op.drop_index(
        op.f("ix_ci_failures_follow_up_run_id"),
        table_name="ci_failures",
        postgresql_where=sa.text("follow_up_run_id IS NOT NULL"),
    )
    op.drop_table("ci_failures")
    op.drop_index(op.f("ix_webhook_deliveries_received_at"), table_name="webhook_deliveries")
    op.drop_table("webhook_deliveries")
