"""The books of a site after a fault: every run that was accepted, and its outcome, checked in one place."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from sqlalchemy import select

from app.clients.live_events.run_event_stream import MAX_EVENTS, read_events
from app.clients.live_events.run_events import EventKind
from app.clients.redis import RedisClient, create_redis
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing
from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.enums import TERMINAL_STATUSES, RunStatus
from app.models import Run, RunLogState, Task
from tests.support.deployment.site import ARTIFACT, PATCHED, Site
from tests.support.stand_ins.push import PushService
from tests.support.waiting import eventually

_RESULT = sorted([ARTIFACT, "changes.patch"])
_WORDS = ("Starting the agent", '"first words"', '"last words"')
# The first and the last entry of the log of a run that completed.
_FIRST, _LAST = (b'"step":"clone"',), (b'"step":"collect"', b'"step":"push"')


_KINDS = ("lost", "doubled", "stuck", "incomplete", "left_behind")


@dataclass(slots=True)
class Ledger:
    """Faults of the books, one line each; if empty, nothing is lost, doubled, stuck or incomplete."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
    # How the runs ended.
    statuses: Counter[str] = field(default_factory=Counter)

    def require_balance(self) -> None:
        """Fail with the faults and the counts of the books if there is any fault."""
        wrong = {name: lines for name in _KINDS if (lines := getattr(self, name))}
        counts = ", ".join(f"{len(getattr(self, name))} {name}" for name in _KINDS)
        print(f"{dict(self.statuses)}: {counts}")  # noqa: T201 - the counts are what these tests report
        assert not wrong, f"{dict(self.statuses)}: {counts}: { {name: wrong[name][:10] for name in wrong} }"


async def take_stock(
    site: Site,
    store: ObjectStore,
    *,
    accepted: Collection[UUID],
    pushes: PushService | None = None,
    again: Collection[UUID] = (),
) -> Ledger:
    """Return the books of a site on which all runs are of `tests.support.deployment.site.work` and should be over.

    Runs in `again` may have had more than one agent: a worker that was stopped gave them back. With `pushes`,
    each run that ended was to be pushed once.
    """
    ledger = Ledger()
    runs = {run.id: run for run in await site.rows()}
    ledger.statuses.update(str(run.status) for run in runs.values())
    ledger.lost += [f"{run_id}: no such run" for run_id in accepted if run_id not in runs]
    pushed = Counter(message["data"].get("taskRunId") for message in pushes.received) if pushes else None
    redis = create_redis(site.settings.redis_url)
    for run in runs.values():
        _check_end(ledger, run)
        _note_repeats(ledger, run, "event", await _events(redis, run))
        log = await stored_log(site, store, run)
        _note_repeats(ledger, run, "line of the log", log)
        agents = sum(b"Starting the agent" in line for line in log)
        if agents > 1 and run.id not in again:
            ledger.doubled.append(f"{run.id}: {agents} agents")
        if run.status == RunStatus.COMPLETED:
            await _check_result(ledger, store, run, log)
        if pushed is not None and run.status in TERMINAL_STATUSES:
            if pushed[str(run.id)] == 0:
                ledger.lost.append(f"{run.id}: no push")
            elif pushed[str(run.id)] > 1:
                ledger.doubled.append(f"{run.id}: {pushed[str(run.id)]} pushes")
    await redis.aclose()
    await _check_tasks(ledger, site)
    ledger.left_behind += site.files_left()
    return ledger


async def wait_for_pushes(pushes: PushService, count: int) -> None:
    """Wait until the push service has received `count` messages; the runs that they report are over then."""

    await eventually(lambda: len(pushes.received) >= count, within_seconds=120)


def _check_end(ledger: Ledger, run: Run) -> None:
    if run.status not in TERMINAL_STATUSES or run.lease_owner is not None or run.completed_at is None:
        ledger.stuck.append(f"{run.id}: {run.status}, held by {run.lease_owner}, {run.attempts} attempts")
    if run.status == RunStatus.FAILED and not run.error_message:
        ledger.incomplete.append(f"{run.id}: failed without a word")
    if "recovery" in run.facts and run.facts["recovery"]["decision"] == "failed":
        ledger.lost.append(f"{run.id}: {run.facts['recovery']['reason']}")


def _note_repeats(ledger: Ledger, run: Run, what: str, lines: Iterable[bytes]) -> None:
    repeated = [line for line, count in Counter(lines).items() if count > 1]
    ledger.doubled += [f"{run.id}: {what} {line[:200]!r}" for line in repeated]


async def _check_result(ledger: Ledger, store: ObjectStore, run: Run, log: list[bytes]) -> None:
    lacks: list[str] = []
    names = sorted(artifact["name"] for artifact in run.artifacts)
    if names != _RESULT:
        lacks.append(f"artifacts {names}")
    for artifact in run.artifacts:
        content = await _read(store, artifact["storage_path"])
        expected = b"two\n" if artifact["name"] == ARTIFACT else f"+++ b/{PATCHED}\n".encode()
        if expected not in content:
            lacks.append(f"{artifact['name']}: {content[:80]!r}")
    text = b"\n".join(log).decode()
    lacks += [f"log: {words}" for words in _WORDS if words not in text]
    if not (log and any(part in log[0] for part in _FIRST) and any(part in log[-1] for part in _LAST)):
        lacks.append(f"log of {len(log)} lines from {log[:1]} to {log[-1:]}")
    if run.error_message is not None or "not_stored" in run.facts:
        lacks.append(f"{run.error_message} {run.state.get('not_stored')}")
    ledger.incomplete += [f"{run.id}: {lack}" for lack in lacks]


async def _check_tasks(ledger: Ledger, site: Site) -> None:
    async with unit_of_work(site.sessions) as session:
        rows = await session.execute(
            select(Task.id, Task.latest_run_status, Run.status)
            .join(Run, Run.id == Task.latest_run_id)
            .where(Task.project_id == site.project.id, Run.status != Task.latest_run_status)
        )
        ledger.stuck += [f"task {row.id}: {row.latest_run_status}, its run {row.status}" for row in rows]


async def _events(redis: RedisClient, run: Run) -> list[bytes]:
    events = await read_events(redis, run.id, after=None, count=MAX_EVENTS)
    return [event.data for event in events if event.kind is EventKind.ENTRY]


async def stored_log(site: Site, store: ObjectStore, run: Run) -> list[bytes]:
    """Return the lines of a log that count."""
    async with unit_of_work(site.sessions) as session:
        size = await session.scalar(select(RunLogState.size).where(RunLogState.run_id == run.id))
    try:
        content = await _read(store, RunRef(run.project_id, run.task_id, run.id).log_key)
    except ObjectMissing:
        return []
    lines = content[:size].splitlines()
    for line in lines:
        orjson.loads(line)
    return lines


async def _read(store: ObjectStore, key: str) -> bytes:
    async with store.open(key) as content:
        return b"".join([chunk async for chunk in content.chunks])
