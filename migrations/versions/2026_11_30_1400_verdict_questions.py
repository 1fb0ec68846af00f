"""Questions about verdicts.

Purpose: people are asked what becomes of work that is not verified (`kind` `verdict`).
Locks: ACCESS EXCLUSIVE on `questions`, for a moment: the CHECK is added without looking at the rows, which hold it.
Previous release: makes no such rows. It lists and counts those that are there, but cannot answer them.
New values: workers write `verdict`, and are replaced behind the API of the release before (docs/operating/upgrade.md).

Revision ID: 0049
Revises: 0048
"""

from collections.abc import Iterable

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

_KINDS = ("permission", "form", "url", "message")


def _hold(kinds: Iterable[str]) -> None:
    """Hold the column to these values."""
    name, words = op.f("ck_questions_kind"), ", ".join(f"'{kind}'" for kind in kinds)
    op.drop_constraint(name, "questions", type_="check")
    op.create_check_constraint(name, "questions", f"kind IN ({words})", postgresql_not_valid=True)


def upgrade() -> None:
    _hold((*_KINDS, "verdict"))


def downgrade() -> None:
    # What the previous vocabulary has no word for; the trigger takes open ones out of the counts.
    op.execute("DELETE FROM questions WHERE kind = 'verdict'")
    _hold(_KINDS)
