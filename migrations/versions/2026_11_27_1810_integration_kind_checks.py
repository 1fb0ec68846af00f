"""CHECKs for the kinds of integrations.

Purpose: let the database refuse values that no release writes.
Locks: short ones; the CHECKs are added without reading the rows. The next revision validates them.
Previous release: unaffected, it writes the same value.

Revision ID: 0028
Revises: 0027
"""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TABLES = ("integrations", "user_integrations")


def upgrade() -> None:
    for table in _TABLES:
        op.create_check_constraint(
            op.f(f"ck_{table}_kind"), table, "kind IN ('github')", postgresql_not_valid=True
        )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_constraint(op.f(f"ck_{table}_kind"), table, type_="check")
