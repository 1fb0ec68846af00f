"""A column for what only the service writes about a run.

Purpose: keep such facts out of `state`, which clients write; the next release takes them out of `state`.
Locks: the table `runs` is locked for a moment; the facts of runs that are there already are copied in batches.
Previous release: reads and writes them in `state`; a trigger keeps both columns alike until the next one drops it.

Revision ID: 0014
Revises: 0013
"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_BATCH = 5000
_NAMES = (
    "agent_started_at",
    "agent_ended_at",
    "waiting_for",
    "recovery",
    "usage",
    "ci_follow_up",
    "not_stored",
    "left_out",
)
_MIRROR = """
CREATE OR REPLACE FUNCTION mirror_run_facts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    earlier CONSTANT jsonb := CASE TG_OP WHEN 'UPDATE' THEN OLD.facts ELSE '{}' END;
BEGIN
    IF NEW.facts IS DISTINCT FROM earlier THEN
        NEW.state := (NEW.state - TG_ARGV) || NEW.facts;
    ELSE
        SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO NEW.facts
        FROM jsonb_each(NEW.state) WHERE key = ANY (TG_ARGV);
    END IF;
    RETURN NEW;
END $$
"""
_TRIGGER = f"""
CREATE OR REPLACE TRIGGER runs_mirror_facts BEFORE INSERT OR UPDATE OF state, facts ON runs
    FOR EACH ROW EXECUTE FUNCTION mirror_run_facts({", ".join(f"'{name}'" for name in _NAMES)})
"""
_LAST_OF_BATCH = sa.text(
    "SELECT max(id::text)::uuid FROM (SELECT id FROM runs WHERE id > :after ORDER BY id LIMIT :batch) AS batch"
)
# The trigger copies them.
_COPY = sa.text(
    "UPDATE runs SET state = state WHERE id > :after AND id <= :last AND state ?| CAST(:names AS text[])"
)


def upgrade() -> None:
    # An upgrade that failed while it copied has made all of this already.
    op.add_column(
        "runs",
        sa.Column("facts", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        if_not_exists=True,
    )
    op.execute(_MIRROR)
    op.execute(_TRIGGER)
    with op.get_context().autocommit_block():
        connection, after = op.get_bind(), UUID(int=0)
        while last := connection.scalar(_LAST_OF_BATCH, {"after": after, "batch": _BATCH}):
            connection.execute(_COPY, {"after": after, "last": last, "names": list(_NAMES)})
            after = last


def downgrade() -> None:
    op.execute("DROP TRIGGER runs_mirror_facts ON runs")
    op.execute("DROP FUNCTION mirror_run_facts()")
    op.drop_column("runs", "facts")
