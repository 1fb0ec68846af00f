"""Questions of agents, their snoozes, and follows of tasks.

Purpose: one row for each thing that an agent waits for, from which inboxes, notices and answers are made.
Locks: short ones on the tables that the foreign keys name.
Previous release: knows nothing of the tables; a question that it opens has no row, and is answered as before. One that
it answers, or with its run ends, is closed by a sweep of this release.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COUNT = """
CREATE FUNCTION count_{event}_questions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A user or a project that goes takes their counts along.
    INSERT INTO question_counts (user_id, project_id, kind, questions)
    SELECT changed.user_id, changed.project_id, changed.kind, sum(changed.questions)
    FROM ({changes}) changed
    JOIN users ON users.id = changed.user_id JOIN projects ON projects.id = changed.project_id
    GROUP BY changed.user_id, changed.project_id, changed.kind
    HAVING sum(changed.questions) <> 0;
    RETURN NULL;
END $$
"""
_CHANGE = "SELECT task_creator_id AS user_id, project_id, kind, {number} AS questions FROM {rows} WHERE status = 'open'"
_GONE, _COME = _CHANGE.format(number=-1, rows="gone"), _CHANGE.format(number=1, rows="come")
_CHANGES = {"insert": _COME, "update": f"{_GONE} UNION ALL {_COME}", "delete": _GONE}
_ROWS = {
    "insert": "NEW TABLE AS come",
    "update": "OLD TABLE AS gone NEW TABLE AS come",
    "delete": "OLD TABLE AS gone",
}


def upgrade() -> None:
    op.create_table(
        "task_follows",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_follows_task_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_task_follows_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "task_id", name=op.f("pk_task_follows")),
    )
    op.create_index("ix_task_follows_task", "task_follows", ["task_id"], unique=False)
    op.create_table(
        "questions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("task_creator_id", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tool_call", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column(
            "options", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("schema", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("risk", sa.String(length=16), nullable=False),
        sa.Column("urgency", sa.String(length=16), nullable=False),
        sa.Column(
            "rank",
            sa.SmallInteger(),
            sa.Computed(
                "CASE urgency WHEN 'high'::text THEN 0 WHEN 'normal'::text THEN 1 ELSE 2 END", persisted=True
            ),
            nullable=False,
        ),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("answered_by_id", sa.BigInteger(), nullable=True),
        sa.Column("answered_via", sa.String(length=16), nullable=True),
        sa.Column("answered_from", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("command_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "answered_via IN ('api', 'console', 'cli', 'action_token', 'mcp', 'a2a', 'rule')",
            name=op.f("ck_questions_answered_via"),
        ),
        sa.CheckConstraint(
            "kind IN ('permission', 'form', 'url', 'message')", name=op.f("ck_questions_kind")
        ),
        sa.CheckConstraint("risk IN ('low', 'normal', 'high')", name=op.f("ck_questions_risk")),
        sa.CheckConstraint(
            "status IN ('open', 'answered', 'expired', 'withdrawn')", name=op.f("ck_questions_status")
        ),
        sa.CheckConstraint("urgency IN ('low', 'normal', 'high')", name=op.f("ck_questions_urgency")),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["users.id"], name=op.f("fk_questions_answered_by_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["command_id"],
            ["run_commands.id"],
            name=op.f("fk_questions_command_id"),
            ondelete="SET NULL",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_questions_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_questions_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["task_creator_id"], ["users.id"], name=op.f("fk_questions_task_creator_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_questions_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
        sa.UniqueConstraint("run_id", "request_id", name=op.f("uq_questions_run_id_request_id")),
    )
    op.create_index("ix_questions_answered_by", "questions", ["answered_by_id"], unique=False)
    op.create_index(
        "ix_questions_expires_at",
        "questions",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open' AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_questions_history",
        "questions",
        ["task_creator_id", "rank", "opened_at", "id"],
        unique=False,
        postgresql_include=["kind", "project_id", "status"],
    )
    op.create_index(
        "ix_questions_inbox",
        "questions",
        ["task_creator_id", "rank", "opened_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
        postgresql_include=["kind", "project_id"],
    )
    op.create_index("ix_questions_task", "questions", ["task_id", "opened_at"], unique=False)
    op.create_table(
        "question_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("questions", sa.BigInteger(), nullable=False),
        sa.Column("folded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_question_counts_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_question_counts_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_question_counts")),
        postgresql_with={"autovacuum_vacuum_scale_factor": 0.05},
    )
    op.create_index("ix_question_counts_user", "question_counts", ["user_id", "project_id"])
    op.create_index("ix_question_counts_project", "question_counts", ["project_id"])
    op.create_index(
        "ix_question_counts_fresh", "question_counts", ["id"], postgresql_where=sa.text("NOT folded")
    )
    for event, changes in _CHANGES.items():
        op.execute(_COUNT.format(event=event, changes=changes))
        op.execute(
            f"CREATE TRIGGER questions_{event} AFTER {event.upper()} ON questions REFERENCING {_ROWS[event]} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION count_{event}_questions()"
        )
    op.create_table(
        "question_snoozes",
        sa.Column("question_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["questions.id"],
            name=op.f("fk_question_snoozes_question_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_question_snoozes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("question_id", "user_id", name=op.f("pk_question_snoozes")),
    )
    op.create_index("ix_question_snoozes_user", "question_snoozes", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_question_snoozes_user", table_name="question_snoozes")
    op.drop_table("question_snoozes")
    op.drop_index("ix_questions_task", table_name="questions")
    op.drop_index("ix_questions_inbox", table_name="questions", postgresql_where=sa.text("status = 'open'"))
    op.drop_index("ix_questions_history", table_name="questions")
    op.drop_index(
        "ix_questions_expires_at",
        table_name="questions",
        postgresql_where=sa.text("status = 'open' AND expires_at IS NOT NULL"),
    )
    op.drop_index("ix_questions_answered_by", table_name="questions")
    op.drop_table("questions")
    for event in _CHANGES:
        op.execute(f"DROP FUNCTION count_{event}_questions()")
    op.drop_table("question_counts")
    op.drop_index("ix_task_follows_task", table_name="task_follows")
    op.drop_table("task_follows")
