"""Staged artifacts.

Purpose: remember verified uploads until a run takes them or they expire.
Locks: none but a short one on `tasks` for the foreign key; the table is new.
Previous release: knows nothing of the table and works beside it.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "staged_artifacts",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("artifact_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("storage_path", sa.String(length=500), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "type IN ('plan', 'context', 'reference', 'output', 'artifact', 'tree_snapshot', 'user_attachment')",
            name=op.f("ck_staged_artifacts_type"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_staged_artifacts_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "artifact_id", name=op.f("pk_staged_artifacts")),
    )
    op.create_index("ix_staged_artifacts_expires_at", "staged_artifacts", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("staged_artifacts")
