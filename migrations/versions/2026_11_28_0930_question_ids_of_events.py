"""Ids of questions in events, spelled as in the inbox: with hyphens.

Purpose: clients can join events with rows of the inbox by the text of the id.
Locks: the changed rows of `events`, which only their sweep changes. The table is read once.
Previous release: goes on writing ids without hyphens. Its own readers take both.

Revision ID: 0032
Revises: 0031
"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_SPELL = """
    UPDATE events SET data = jsonb_set(data, '{{question_id}}', to_jsonb({spelled}))
    WHERE data ? 'question_id' AND data->>'question_id' ~ '^[0-9a-f-]{{{length}}}$'
"""


def upgrade() -> None:
    op.execute(_SPELL.format(spelled="(data->>'question_id')::uuid::text", length=32))


def downgrade() -> None:
    op.execute(_SPELL.format(spelled="replace(data->>'question_id', '-', '')", length=36))
