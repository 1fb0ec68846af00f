"""Check sets, verifications of what runs delivered, and kept results of bases.

Purpose: keep what runs are checked by, and what the checks showed.
Locks: ACCESS EXCLUSIVE on `runs`, `tasks`, `pushed_branches` and `sandbox_environments`, for one added
column each, without a rewrite.
Previous release: neither reads nor writes them. A run that it ends has no verification; one that waits for checks stays
waiting until a worker of this release takes it up.

Revision ID: 0045
Revises: 0044
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("runs", sa.Column("verification", JSONB(none_as_null=True), nullable=True))
    op.add_column("pushed_branches", sa.Column("base_sha", sa.String(length=64), nullable=True))
    op.add_column("tasks", sa.Column("acceptance", JSONB(none_as_null=True), nullable=True))
    op.add_column(
        "tasks", sa.Column("verdict_urgency", sa.SmallInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("tasks", sa.Column("latest_run_ci", sa.String(length=16), nullable=True))
    op.execute(
        "ALTER TABLE tasks ADD CONSTRAINT ck_tasks_latest_run_ci "
        "CHECK (latest_run_ci IN ('success', 'failure', 'pending')) NOT VALID"
    )
    op.add_column(
        "sandbox_environments",
        sa.Column("for_checks", ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_table(
        "check_sets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("repository", sa.String(length=255), nullable=True),
        sa.Column("definition", JSONB(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by_id", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.Column("updated_by_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_check_sets_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["users.id"], name="fk_check_sets_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["updated_by_id"], ["users.id"], name="fk_check_sets_updated_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_check_sets"),
    )
    op.create_index(
        "uq_check_sets_repository",
        "check_sets",
        ["project_id", "repository"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    newest_first = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_check_sets_project", "check_sets", ["project_id", *newest_first])
    op.create_index("ix_check_sets_created_by", "check_sets", ["created_by_id"])
    op.create_index("ix_check_sets_updated_by", "check_sets", ["updated_by_id"])
    op.create_table(
        "verifications",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=64), nullable=True),
        sa.Column("delivery", JSONB(none_as_null=True), nullable=True),
        sa.Column("previous_verdict", sa.String(length=16), nullable=True),
        sa.Column("definitions", JSONB(none_as_null=True), nullable=True),
        sa.Column("shown", JSONB(), nullable=False),
        sa.Column("repair", sa.Text(), nullable=True),
        sa.Column("failures", sa.String(length=64), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_expires_at", _TIME, nullable=True),
        sa.Column("losses", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_verifications_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "attempt", name="pk_verifications"),
    )
    op.create_index(
        "ix_verifications_open",
        "verifications",
        ["created_at"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "kept_bases",
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_kept_bases_project_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name="pk_kept_bases"),
    )
    op.create_index("ix_kept_bases_created_at", "kept_bases", ["created_at"])
    op.create_index("ix_kept_bases_project_id", "kept_bases", ["project_id"])


def downgrade() -> None:
    op.drop_table("kept_bases")
    op.drop_table("verifications")
    op.drop_table("check_sets")
    op.drop_column("sandbox_environments", "for_checks")
    op.drop_column("tasks", "latest_run_ci")
    op.drop_column("tasks", "verdict_urgency")
    op.drop_column("tasks", "acceptance")
    op.drop_column("pushed_branches", "base_sha")
    op.drop_column("runs", "verification")
