"""Keeps the results of checks of a base, so that other attempts and runs need not execute them (contract 18.3)."""

import hashlib
import json
import zlib
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db.sweeping import delete_batch
from app.enums import CaseOutcome
from app.models import KeptBase
from app.verdicts.judgement import Case, Execution


async def find_base(session: AsyncSession, project_id: int, key: bytes, *, days: int) -> bytes | None:
    """Return a packed result that is at most `days` old, if there is one."""
    terms = (KeptBase.key == _own(project_id, key), KeptBase.created_at > utcnow() - timedelta(days=days))
    return await session.scalar(select(KeptBase.result).where(*terms))


async def keep_base(session: AsyncSession, project_id: int, key: bytes, packed: bytes) -> None:
    values = {"project_id": project_id, "result": packed, "created_at": utcnow()}
    row = insert(KeptBase).values(key=_own(project_id, key), **values)
    await session.execute(row.on_conflict_do_update(index_elements=[KeptBase.key], set_=values))


async def sweep_bases(session: AsyncSession, *, days: int) -> int:
    """Delete a batch of kept results that are older than `days`; return how many."""
    return await delete_batch(session, KeptBase, KeptBase.created_at <= utcnow() - timedelta(days=days))


def _own(project_id: int, key: bytes) -> bytes:
    # With the project in the key, no project reads what another one has written.
    return hashlib.sha256(b"%d\n%b" % (project_id, key)).digest()


def pack(execution: Execution) -> bytes:
    cases = execution.cases
    listed = None if cases is None else [(*case, outcome) for case, outcome in cases.items()]
    kept = [execution.exit_code, list(execution.blocked_hosts), execution.fault, listed]
    return zlib.compress(json.dumps(kept).encode())


def unpack(packed: bytes) -> Execution:
    exit_code, blocked_hosts, fault, listed = json.loads(zlib.decompress(packed))
    cases = None if listed is None else {Case(*names): CaseOutcome(outcome) for *names, outcome in listed}
    return Execution(exit_code=exit_code, blocked_hosts=blocked_hosts, fault=fault, cases=cases)
