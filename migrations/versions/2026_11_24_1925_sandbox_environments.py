"""Sandbox environments.

Purpose: decide what the agents of a run reach over the network, and which variables they get.
Locks: short ones on `runs`, for a column without a default, and on `projects` and `users` for the foreign keys.
Previous release: knows nothing of it. Its workers would perform a run without its environment, so drain them before
clients name environments.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sandbox_environments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("network_access_level", sa.String(length=16), nullable=False),
        sa.Column("allowed_domains", postgresql.ARRAY(sa.String(length=255)), nullable=False),
        sa.Column("include_default_domains", sa.Boolean(), nullable=False),
        sa.Column("repositories", postgresql.ARRAY(sa.String(length=255)), nullable=False),
        sa.Column("encrypted_variables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "network_access_level IN ('none', 'model-only', 'trusted', 'custom', 'full')",
            name=op.f("ck_sandbox_environments_network_access_level"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_sandbox_environments_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"],
            ["users.id"],
            name=op.f("fk_sandbox_environments_created_by_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_environments")),
    )
    op.create_index(
        "ix_sandbox_environments_project",
        "sandbox_environments",
        ["project_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.add_column("runs", sa.Column("sandbox_environment_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "sandbox_environment_id")
    op.drop_index("ix_sandbox_environments_project", table_name="sandbox_environments")
    op.drop_table("sandbox_environments")
