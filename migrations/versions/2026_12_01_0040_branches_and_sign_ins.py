"""An index that nothing reads goes, and one for the sign-ins of an address comes.

Purpose: count what waits from one address before another sign-in begins. No query and no foreign key looks for pushed
branches by their task: since revision 0058 they go with their run.
Locks: SHARE UPDATE EXCLUSIVE on `pushed_branches` and `terminal_logins`: both are written meanwhile.
Previous release: unaffected.

Revision ID: 0063
Revises: 0062
"""

from migrations.indexes import create_index_concurrently, drop_index_concurrently

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    drop_index_concurrently("ix_pushed_branches_task_id", "pushed_branches")
    create_index_concurrently("ix_terminal_logins_address", "terminal_logins", ["address"])


def downgrade() -> None:
    drop_index_concurrently("ix_terminal_logins_address", "terminal_logins")
    create_index_concurrently("ix_pushed_branches_task_id", "pushed_branches", ["task_id"])
