"""Tasks, runs and accounts.

Purpose: the first schema: organizations, projects, users, keys, integrations, tasks and runs.
Locks: none; every table is new. Creates the extension pg_trgm, which a database owner may do.
Previous release: there is none.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("api_token", sa.String(length=64), nullable=False),
        sa.Column("timezone", sa.String(length=64), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_projects_organization_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("api_token", name=op.f("uq_projects_api_token")),
        sa.UniqueConstraint("uuid", name=op.f("uq_projects_uuid")),
    )
    op.create_index(op.f("ix_projects_organization_id"), "projects", ["organization_id"], unique=False)
    op.create_table(
        "integrations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("encrypted_token", sa.Text(), nullable=True),
        sa.Column("api_url", sa.String(length=500), nullable=True),
        sa.Column("git_url", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_integrations_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integrations")),
    )
    op.create_index(
        op.f("ix_integrations_project_id_kind_id"), "integrations", ["project_id", "kind", "id"], unique=False
    )
    op.create_table(
        "signal_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_signal_reports_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_reports")),
    )
    op.create_index(op.f("ix_signal_reports_project_id"), "signal_reports", ["project_id"], unique=False)
    op.create_table(
        "task_counters",
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_task_counters_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_task_counters")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("distinct_id", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("first_name", sa.String(length=150), server_default=sa.text("''"), nullable=False),
        sa.Column("last_name", sa.String(length=150), server_default=sa.text("''"), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_staff", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_email_verified", sa.Boolean(), nullable=True),
        sa.Column(
            "hedgehog_config", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("role_at_organization", sa.String(length=64), nullable=True),
        sa.Column("current_project_id", sa.BigInteger(), nullable=True),
        sa.Column("date_joined", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["current_project_id"],
            ["projects.id"],
            name=op.f("fk_users_current_project_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("distinct_id", name=op.f("uq_users_distinct_id")),
        sa.UniqueConstraint("uuid", name=op.f("uq_users_uuid")),
    )
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(length=40), server_default=sa.text("''"), nullable=False),
        sa.Column("secret_hash", sa.String(length=80), nullable=False),
        sa.Column("mask", sa.String(length=16), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column(
            "scoped_teams", postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "scoped_organizations",
            postgresql.ARRAY(sa.Uuid()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_memberships_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "project_id", name=op.f("pk_memberships")),
    )
    op.create_index(op.f("ix_memberships_project_id"), "memberships", ["project_id"], unique=False)
    op.create_table(
        "user_integrations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("encrypted_token", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_integrations_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_integrations")),
    )
    op.create_index(
        op.f("ix_user_integrations_user_id_kind"), "user_integrations", ["user_id", "kind"], unique=False
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("task_number", sa.BigInteger(), nullable=True),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "audience",
            sa.BigInteger(),
            sa.Computed(
                "CASE WHEN created_by_id IS NULL OR origin_product::text = 'hogdesk'::text OR origin_product::text = 'onboarding'::text OR origin_product::text = 'signal_report'::text OR origin_product::text = 'signals_scout'::text THEN 0::bigint ELSE created_by_id END",
                persisted=True,
            ),
            nullable=False,
        ),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("title_manually_set", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("origin_product", sa.String(length=32), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=True),
        sa.Column("github_integration_id", sa.BigInteger(), nullable=True),
        sa.Column("github_user_integration_id", sa.Uuid(), nullable=True),
        sa.Column("signal_report_id", sa.Uuid(), nullable=True),
        sa.Column("json_schema", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ci_prompt", sa.Text(), nullable=True),
        sa.Column("latest_run_id", sa.Uuid(), nullable=True),
        sa.Column("latest_run_status", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "latest_run_status IN ('not_started', 'queued', 'in_progress', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_tasks_latest_run_status"),
        ),
        sa.CheckConstraint(
            "origin_product IN ('onboarding', 'error_tracking', 'eval_clusters', 'user_created', 'automation', 'slack', 'support_queue', 'session_summaries', 'posthog_ai', 'experiments', 'signal_report', 'signals_scout', 'support_reply', 'hogdesk', 'image_builder')",
            name=op.f("ck_tasks_origin_product"),
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name=op.f("fk_tasks_created_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["github_integration_id"],
            ["integrations.id"],
            name=op.f("fk_tasks_github_integration_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["github_user_integration_id"],
            ["user_integrations.id"],
            name=op.f("fk_tasks_github_user_integration_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_tasks_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["signal_report_id"],
            ["signal_reports.id"],
            name=op.f("fk_tasks_signal_report_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("project_id", "task_number", name=op.f("uq_tasks_project_id_task_number")),
    )
    op.create_index(
        "ix_tasks_all",
        "tasks",
        ["project_id", "audience", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT deleted"),
        postgresql_include=["archived", "internal"],
    )
    op.create_index(
        "ix_tasks_created_by",
        "tasks",
        ["created_by_id", "project_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT deleted"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_index(
        "ix_tasks_github_integration",
        "tasks",
        ["github_integration_id"],
        unique=False,
        postgresql_where=sa.text("github_integration_id IS NOT NULL"),
    )
    op.create_index(
        "ix_tasks_inbox",
        "tasks",
        ["project_id", "audience", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT deleted AND NOT archived AND NOT internal"),
    )
    op.create_index(
        "ix_tasks_origin",
        "tasks",
        ["project_id", "origin_product", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT deleted"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_index(
        "ix_tasks_repository",
        "tasks",
        ["project_id", "repository", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT deleted AND repository IS NOT NULL"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_index(
        "ix_tasks_repository_name",
        "tasks",
        [
            "project_id",
            sa.literal_column("split_part(repository, '/', 2)"),
            sa.literal_column("created_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
        postgresql_where=sa.text("NOT deleted AND repository IS NOT NULL"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_index(
        "ix_tasks_repository_owner",
        "tasks",
        [
            "project_id",
            sa.literal_column("split_part(repository, '/', 1)"),
            sa.literal_column("created_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
        postgresql_where=sa.text("NOT deleted AND repository IS NOT NULL"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_index(
        "ix_tasks_search",
        "tasks",
        ["title", "description"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"title": "gin_trgm_ops", "description": "gin_trgm_ops"},
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_index(
        "ix_tasks_status",
        "tasks",
        [
            "project_id",
            "latest_run_status",
            sa.literal_column("created_at DESC"),
            sa.literal_column("id DESC"),
        ],
        unique=False,
        postgresql_where=sa.text("NOT deleted AND latest_run_status IS NOT NULL"),
        postgresql_include=["audience", "archived", "internal"],
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=100), nullable=True),
        sa.Column("branch", sa.String(length=255), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("output", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "state", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column(
            "artifacts",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatch_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("environment IN ('local', 'cloud')", name=op.f("ck_runs_environment")),
        sa.CheckConstraint(
            "status IN ('not_started', 'queued', 'in_progress', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_runs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_runs_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_runs_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_foreign_key(
        op.f("fk_tasks_latest_run_id"), "tasks", "runs", ["latest_run_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(
        "ix_runs_dispatch",
        "runs",
        ["dispatch_requested_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND dispatch_requested_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_lease",
        "runs",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'in_progress' AND lease_expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_stage",
        "runs",
        ["project_id", "stage", "task_id"],
        unique=False,
        postgresql_where=sa.text("stage IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_task",
        "runs",
        ["task_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "signal_report_tasks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("report_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("relationship", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "relationship IN ('implementation')", name=op.f("ck_signal_report_tasks_relationship")
        ),
        sa.ForeignKeyConstraint(
            ["report_id"],
            ["signal_reports.id"],
            name=op.f("fk_signal_report_tasks_report_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_signal_report_tasks_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_report_tasks")),
        sa.UniqueConstraint(
            "report_id",
            "task_id",
            "relationship",
            name=op.f("uq_signal_report_tasks_report_id_task_id_relationship"),
        ),
    )
    op.create_index(op.f("ix_signal_report_tasks_task_id"), "signal_report_tasks", ["task_id"], unique=False)


def downgrade() -> None:
    op.drop_constraint(op.f("fk_tasks_latest_run_id"), "tasks", type_="foreignkey")
    for table in (
        "signal_report_tasks",
        "runs",
        "tasks",
        "user_integrations",
        "memberships",
        "api_keys",
        "users",
        "task_counters",
        "signal_reports",
        "integrations",
        "projects",
        "organizations",
    ):
        op.drop_table(table)
    op.execute("DROP EXTENSION IF EXISTS pg_trgm")
