"""CHECKs for the outcome and the error of attempts to deliver webhooks.

Purpose: let the database refuse values that no release writes.
Locks: short ones; the CHECKs are added without reading the rows. The next revision validates them.
Previous release: unaffected, it writes the same values.

Revision ID: 0026
Revises: 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_TABLE = "webhook_attempts"
_VALUES = {
    "outcome": ("delivered", "failed"),
    "error": (
        "dns_failed",
        "blocked_address",
        "connect_failed",
        "tls_failed",
        "timeout",
        "redirect",
        "http_4xx",
        "http_5xx",
    ),
}


def upgrade() -> None:
    for column, values in _VALUES.items():
        words = ", ".join(f"'{value}'" for value in values)
        op.create_check_constraint(
            op.f(f"ck_{_TABLE}_{column}"), _TABLE, f"{column} IN ({words})", postgresql_not_valid=True
        )


def downgrade() -> None:
    for column in _VALUES:
        op.drop_constraint(op.f(f"ck_{_TABLE}_{column}"), _TABLE, type_="check")
