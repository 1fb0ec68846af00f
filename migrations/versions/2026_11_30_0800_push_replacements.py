"""Reminders and retractions of pushes as rows of their own.

Purpose: let a reminder or retraction be a row that names the notice that it replaces. Until now `follow_up_at` of the
notice asked for either; what is asked for becomes a row. The index of these rows is in the next revision.
Locks: ACCESS EXCLUSIVE on `notifications` until the end, for two added columns, a CHECK that is not validated, and the
rows with a `follow_up_at`, which are few and found by indexes.
Previous release: sets and reads `follow_up_at`, which stays. What it asks for after this revision is not sent. Of the
new rows it sends a reminder like its notice and drops a retraction: a device may keep the buttons of a closed question.

Revision ID: 0035
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_CHECK = "ck_notifications_purpose"
# Of what was sent or is being sent: two partial indexes find these.
_CONVERT = """
INSERT INTO notifications (
    id, task_id, run_id, user_id, kind, body, title, question_id, event_seq, urgency, device_id, platform, created_at,
    purpose, replaces, decision, due_at, deferred_for
)
SELECT
    gen_random_uuid(), n.task_id, n.run_id, n.user_id, n.kind, n.body, n.title, n.question_id, n.event_seq, n.urgency,
    n.device_id, n.platform, n.created_at, CASE WHEN q.status = 'open' THEN 'reminder' ELSE 'retraction' END, n.id,
    'pending', n.follow_up_at, extract(epoch FROM n.follow_up_at - n.created_at)
FROM notifications n JOIN questions q ON q.id = n.question_id
WHERE n.follow_up_at IS NOT NULL AND (n.sent_at IS NOT NULL OR n.due_at IS NOT NULL)
    AND n.decision NOT IN ('retracted', 'rejected')
"""


def upgrade() -> None:
    op.add_column(
        "notifications",
        sa.Column("purpose", sa.String(16), server_default=sa.text("'notice'"), nullable=False),
    )
    op.add_column("notifications", sa.Column("replaces", sa.Uuid(), nullable=True))
    op.execute(
        f"ALTER TABLE notifications ADD CONSTRAINT {_CHECK} "
        "CHECK (purpose IN ('notice', 'reminder', 'retraction')) NOT VALID"
    )
    op.execute(_CONVERT)
    op.execute(
        "UPDATE notifications SET follow_up_at = NULL "
        "WHERE follow_up_at IS NOT NULL AND (sent_at IS NOT NULL OR due_at IS NOT NULL)"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE notifications n SET follow_up_at = r.due_at FROM notifications r "
        "WHERE r.replaces = n.id AND r.due_at IS NOT NULL"
    )
    op.execute("DELETE FROM notifications WHERE replaces IS NOT NULL")
    op.drop_constraint(_CHECK, "notifications")
    op.drop_column("notifications", "replaces")
    op.drop_column("notifications", "purpose")
