"""Deliveries from GitHub get a name of their own, and pushes may be about no task.

Purpose: separate GitHub's messages to this service from those it sends, and push that a webhook endpoint was disabled.
Locks: short ones on `webhook_deliveries`, `push_cooldowns` and `notifications`; rows are read once more to validate
the new rule, which lets reads and writes pass.
Previous release: writes and reads GitHub's deliveries through a view of the old name, which the next release drops.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


_TABLES = ("notifications", "push_cooldowns")
_OLD_KINDS = ("completed", "failed", "cancelled", "awaiting", "test")
_NEW_KINDS = (*_OLD_KINDS, "webhook_disabled")


def upgrade() -> None:
    op.rename_table("webhook_deliveries", "github_deliveries")
    op.execute("ALTER INDEX pk_webhook_deliveries RENAME TO pk_github_deliveries")
    op.execute("ALTER INDEX ix_webhook_deliveries_received_at RENAME TO ix_github_deliveries_received_at")
    op.execute("CREATE VIEW webhook_deliveries AS SELECT delivery_id, received_at FROM github_deliveries")
    op.alter_column("notifications", "task_id", existing_type=sa.Uuid(), nullable=True)
    _allow(_NEW_KINDS)


def downgrade() -> None:
    op.execute("DELETE FROM notifications WHERE task_id IS NULL OR kind = 'webhook_disabled'")
    _allow(_OLD_KINDS)
    op.alter_column("notifications", "task_id", existing_type=sa.Uuid(), nullable=False)
    op.execute("DROP VIEW webhook_deliveries")
    op.execute("ALTER INDEX ix_github_deliveries_received_at RENAME TO ix_webhook_deliveries_received_at")
    op.execute("ALTER INDEX pk_github_deliveries RENAME TO pk_webhook_deliveries")
    op.rename_table("github_deliveries", "webhook_deliveries")


def _allow(kinds: tuple[str, ...]) -> None:
    values = ", ".join(f"'{kind}'" for kind in kinds)
    for table in _TABLES:
        name = f"ck_{table}_kind"
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, f"kind IN ({values})", postgresql_not_valid=True)
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
