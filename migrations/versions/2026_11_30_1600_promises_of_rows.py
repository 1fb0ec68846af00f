"""CHECKs for what columns promise together.

Purpose: let the database refuse rows that no release writes.
Locks: ACCESS EXCLUSIVE on one table after the other, for a moment: the CHECKs are added without reading the rows. The
next revision validates them.
Previous release: unaffected, it writes no other rows.
Contract: release 0.1.0 writes the columns of each of these CHECKs together, or none of them.

Revision ID: 0051
Revises: 0050
"""

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_LEASE = "(lease_owner IS NULL) = (lease_expires_at IS NULL) AND (lease_owner IS NULL OR {})"
_CHECKS = (
    ("console_sessions", "secret", "num_nonnulls(secret_hash, code_hash) = 1"),
    ("questions", "closed_at", "(status = 'open') = (closed_at IS NULL)"),
    ("runs", "lease", _LEASE.format("status = 'in_progress'")),
    ("tasks", "activity", "num_nulls(activity_at, activity_kind, activity_subject_id) IN (0, 3)"),
    ("tasks", "deleted_at", "deleted = (deleted_at IS NOT NULL)"),
    ("verifications", "lease", _LEASE.format("finished_at IS NULL")),
    (
        "verifications",
        "previous_verdict",
        "previous_verdict IN ('verified', 'claimed', 'refuted', 'inconclusive')",
    ),
    ("webhook_endpoints", "enabled", "enabled = (disabled_reason IS NULL)"),
)


def upgrade() -> None:
    # No table is kept locked while the revision waits for the next one: requests lock them in another order.
    with op.get_context().autocommit_block():
        for table, name, rule in _CHECKS:
            check = f"ck_{table}_{name}"
            added = f"ADD CONSTRAINT {check} CHECK ({rule}) NOT VALID"
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}, {added}")


def downgrade() -> None:
    for table, name, _ in _CHECKS:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
