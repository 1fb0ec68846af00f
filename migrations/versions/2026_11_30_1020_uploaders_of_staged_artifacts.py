"""The user who uploaded a staged artifact.

Purpose: let a run show who uploaded each of its files; staged ones become files of a run.
Locks: ACCESS EXCLUSIVE on `staged_artifacts` for the moment of an added column.
Previous release: neither reads nor writes the column: of what it stages, the uploader is unknown. It shows the entries
of runs as they are stored, with the keys that this release adds.

Revision ID: 0044
Revises: 0043
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("staged_artifacts", sa.Column("uploaded_by_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("staged_artifacts", "uploaded_by_id")
