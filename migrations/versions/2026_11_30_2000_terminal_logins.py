"""Sign-ins of terminals by a code.

Purpose: keep the hashes of the codes by which terminals get keys, for ten minutes each.
Locks: SHARE ROW EXCLUSIVE on `api_keys` and `projects`, for the foreign keys of an empty table.
Previous release: neither reads nor writes it.

Revision ID: 0056
Revises: 0055
"""

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "terminal_logins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("device_hash", sa.String(80), nullable=False),
        sa.Column("code_hash", sa.String(80), nullable=False),
        sa.Column("client", sa.String(80), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_refused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("key_id", sa.Uuid(), nullable=True),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_terminal_logins_key_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_terminal_logins_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_terminal_logins"),
        sa.UniqueConstraint("device_hash", name="uq_terminal_logins_device_hash"),
        sa.UniqueConstraint("code_hash", name="uq_terminal_logins_code_hash"),
    )
    for column in ("key_id", "project_id", "expires_at"):
        op.create_index(f"ix_terminal_logins_{column}", "terminal_logins", [column])


def downgrade() -> None:
    op.drop_table("terminal_logins")
