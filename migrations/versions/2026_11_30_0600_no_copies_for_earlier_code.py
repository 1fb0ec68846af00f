"""The facts of a run only in their column, and deliveries of GitHub only by their name.

Purpose: drop the trigger that copied `runs.facts` to `runs.state`, the copies, and the view of an earlier table name.
Locks: the table `runs` is locked for a moment; copies are removed in batches.
Previous release: none came before the first one; what read the copies and the view never was in one.

Revision ID: 0033
Revises: 0032
"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
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
_LAST_OF_BATCH = sa.text(
    "SELECT max(id::text)::uuid FROM (SELECT id FROM runs WHERE id > :after ORDER BY id LIMIT :batch) AS batch"
)
_REMOVE_COPIES = sa.text(
    "UPDATE runs SET state = state - CAST(:names AS text[])"
    " WHERE id > :after AND id <= :last AND state ?| CAST(:names AS text[])"
)
_MIRROR = """
CREATE FUNCTION mirror_run_facts() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER runs_mirror_facts BEFORE INSERT OR UPDATE OF state, facts ON runs
    FOR EACH ROW EXECUTE FUNCTION mirror_run_facts({", ".join(f"'{name}'" for name in _NAMES)})
"""


def upgrade() -> None:
    # An upgrade that failed while it removed copies has dropped these already.
    op.execute("DROP VIEW IF EXISTS webhook_deliveries")
    op.execute("DROP TRIGGER IF EXISTS runs_mirror_facts ON runs")
    op.execute("DROP FUNCTION IF EXISTS mirror_run_facts()")
    with op.get_context().autocommit_block():
        connection, after = op.get_bind(), UUID(int=0)
        while last := connection.scalar(_LAST_OF_BATCH, {"after": after, "batch": _BATCH}):
            connection.execute(_REMOVE_COPIES, {"after": after, "last": last, "names": list(_NAMES)})
            after = last


def downgrade() -> None:
    op.execute("UPDATE runs SET state = state || facts WHERE facts <> '{}'")
    op.execute(_MIRROR)
    op.execute(_TRIGGER)
    op.execute("CREATE VIEW webhook_deliveries AS SELECT delivery_id, received_at FROM github_deliveries")
