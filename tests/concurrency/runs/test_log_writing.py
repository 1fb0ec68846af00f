"""Many writers at one log: no line is lost, none is doubled, none is torn (contract 6.4)."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select, update
from typing_extensions import override

from app.api_limits import LOG_BYTES
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable
from app.clients.storage.storage_keys import RunRef
from app.config import Settings
from app.db import SessionFactory, create_engine, create_session_factory, unit_of_work
from app.errors import Unavailable
from app.models import Project, Run, RunLogState, User
from app.outages import DatabaseUnavailable
from app.runtime import ProcessContext
from app.services.retrying.policies import LOG_LOCK_PATIENCE
from app.services.run_log.log_entries import log_line
from app.services.run_log.log_writing import append_lines, hold_lock, within_limit
from app.worker.run.log_recorder import open_log
from app.worker.run.store_retry import StoreRetryBudget
from tests.support.clock import MovableClock, let_time_pass
from tests.support.database.faults import unacknowledged_once
from tests.support.deployment.memory import forget_peak, peak_of
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_run, make_task
from tests.support.stand_ins.outage import Interruptible, behind, interruptible
from tests.support.waiting import eventually


@pytest.fixture
async def run(sessions: SessionFactory, project: Project, owner: User) -> Run:
    async with unit_of_work(sessions) as session:
        return await make_run(session, task=await make_task(session, project=project, created_by=owner))


@pytest.fixture
def ref(run: Run) -> RunRef:
    return RunRef(run.project_id, run.task_id, run.id)


@pytest.fixture
async def unreachable_store(settings: Settings) -> AsyncGenerator[ObjectStore, None]:
    nowhere = settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{closed_port()}"})
    async with ObjectStore(nowhere) as store:
        yield store


class HookedStore(ObjectStore):
    """A store that has something happen when a log is about to grow; small ones are stored whole."""

    def __init__(self, settings: Settings, hook: Callable[[], Awaitable[None]]) -> None:
        super().__init__(settings)
        self._hook = hook

    @override
    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        await self._hook()
        await super().put(key, body, content_type=content_type, tags=tags)


async def read(store: ObjectStore, ref: RunRef) -> bytes:
    async with store.open(ref.log_key) as content:
        return b"".join([chunk async for chunk in content.chunks])


def lines(*numbers: int) -> bytes:
    return b"".join(log_line({"n": number}) for number in numbers)


async def test_concurrent_appends_lose_no_line(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef
) -> None:
    async def write(writer: int) -> None:
        for turn in range(4):
            await append_lines(
                sessions, store, ref, lines(writer * 100 + turn * 2, writer * 100 + turn * 2 + 1)
            )

    async with asyncio.TaskGroup() as group:
        for writer in range(6):
            group.create_task(write(writer))

    numbers = [orjson.loads(line)["n"] for line in (await read(store, ref)).splitlines()]
    for writer in range(6):
        assert [n for n in numbers if n // 100 == writer] == [writer * 100 + n for n in range(8)]


async def test_worker_and_client_write_to_the_same_log(
    process: ProcessContext, sessions: SessionFactory, store: ObjectStore, ref: RunRef, tmp_path: Path
) -> None:
    retry = StoreRetryBudget(0, cut_short=asyncio.Event())
    async with open_log(process, ref, tmp_path / "log.jsonl", retry) as run_log:
        for number in range(50):
            await run_log.append({"n": number})
            if number % 10 == 0:
                await append_lines(sessions, store, ref, lines(1000 + number))

    numbers = [orjson.loads(line)["n"] for line in (await read(store, ref)).splitlines()]
    assert [n for n in numbers if n < 1000] == list(range(50))
    assert [n for n in numbers if n >= 1000] == [1000, 1010, 1020, 1030, 1040]


async def test_what_a_dead_writer_left_is_cut_off_once_its_lock_has_lapsed(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, clock: MovableClock
) -> None:
    await append_lines(sessions, store, ref, lines(1))
    # It had stored its lines and died before it could say so; its client got no response and sends them again.
    await store.extend(ref.log_key, len(lines(1)), lines(2), content_type="application/jsonl", tags={})
    async with unit_of_work(sessions) as session:
        await session.execute(update(RunLogState).values(writer="dead", writer_until=clock.now))
    await append_lines(sessions, store, ref, lines(2, 3))
    assert await read(store, ref) == lines(1, 2, 3)


async def test_outage_of_the_store_adds_nothing_and_releases_the_lock(
    sessions: SessionFactory, store: ObjectStore, unreachable_store: ObjectStore, ref: RunRef
) -> None:
    await append_lines(sessions, store, ref, lines(1))
    with pytest.raises(ObjectStoreUnavailable):
        await append_lines(sessions, unreachable_store, ref, lines(2))
    await append_lines(sessions, store, ref, lines(3))
    assert await read(store, ref) == lines(1, 3)


@asynccontextmanager
async def database_in_between(
    settings: Settings,
) -> AsyncGenerator[tuple[SessionFactory, Interruptible], None]:
    """Yield sessions of a process, and the switch that breaks its connections to the database."""
    async with interruptible(settings.database_url) as between:
        through = settings.model_copy(update={"database_url": behind(between, settings.database_url)})
        engine = create_engine(through, application_name="taskbeacon-tests")
        yield create_session_factory(engine), between
        await engine.dispose()


async def test_append_that_lost_its_last_answer_is_kept_once_and_succeeds(
    settings: Settings, sessions: SessionFactory, store: ObjectStore, ref: RunRef
) -> None:
    """After an error its caller would send the lines again, and the log would hold them twice."""
    with ExitStack() as faults:

        async def lose_the_next_commit() -> None:
            lost.append(faults.enter_context(unacknowledged_once()))

        lost: list[list[str]] = []
        await append_lines(sessions, store, ref, lines(1))
        async with HookedStore(settings, lose_the_next_commit) as hooked:
            await append_lines(sessions, hooked, ref, lines(2))
    assert lost == [["COMMIT"]]
    await append_lines(sessions, store, ref, lines(3))
    assert await read(store, ref) == lines(1, 2, 3)


async def test_lock_that_could_not_be_released_keeps_no_writer_out_for_longer_than_it_waits(
    settings: Settings,
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        database_in_between(settings) as (cut_off, between),
        HookedStore(settings, between.refuse) as hooked,
    ):
        appending = asyncio.create_task(append_lines(cut_off, hooked, ref, lines(1)))
        await eventually(lambda: "run_log.lock_not_released" in caplog.text)
        let_time_pass(monkeypatch, seconds=10)
        with pytest.raises(DatabaseUnavailable):
            await appending

    async with unit_of_work(sessions) as session:
        until = await session.scalar(select(RunLogState.writer_until))
    assert until is not None
    assert until - clock.now < LOG_LOCK_PATIENCE
    clock.now = until
    # The caller was refused, and sends its line again.
    await append_lines(sessions, store, ref, lines(1))
    assert await read(store, ref) == lines(1)


async def test_lock_of_a_large_log_lasts_as_long_as_the_store_may_take_to_copy_it(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, clock: MovableClock
) -> None:
    await append_lines(sessions, store, ref, lines(1))
    async with unit_of_work(sessions) as session:
        await session.execute(update(RunLogState).values(size=LOG_BYTES))
    async with hold_lock(sessions, ref, None), unit_of_work(sessions) as session:
        until = await session.scalar(select(RunLogState.writer_until))
    assert until == clock.now + timedelta(seconds=15 + 25)


def test_full_log_takes_a_note_instead() -> None:
    note = b'{"type":"truncated","limit_bytes":%d}\n' % LOG_BYTES
    assert within_limit(LOG_BYTES - 100, b"x" * 100) == (b"x" * 100, LOG_BYTES)
    # Regression: there was a note, and a copy of the log, for each append that did not fit.
    assert within_limit(LOG_BYTES - 2**20, b"x" * 2**21) == (note, LOG_BYTES)
    assert within_limit(LOG_BYTES, b"x") == (b"", LOG_BYTES)
    assert within_limit(LOG_BYTES - len(note) + 1, b"x" * 101) == (b"", LOG_BYTES)


async def test_log_of_a_hundred_megabytes_grows_and_is_read_in_bounded_memory(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, tmp_path: Path
) -> None:
    file = tmp_path / "log.jsonl"
    with file.open("wb") as lines_of_old:
        for _ in range(100):
            lines_of_old.write(b'{"x":"' + b"x" * (2**20 - 9) + b'"}\n')
    await store.put(ref.log_key, file, content_type="application/jsonl", tags={})

    before = forget_peak(os.getpid())
    await append_lines(sessions, store, ref, lines(1))
    size = 0
    async with store.open(ref.log_key) as content:
        async for chunk in content.chunks:
            size += len(chunk)

    assert size == 100 * 2**20 + len(lines(1))
    assert peak_of(os.getpid()) - before < 32 * 2**20


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "timed-out"])
async def test_write_that_the_store_applies_late_loses_no_line_of_the_next_writer(
    settings: Settings,
    sessions: SessionFactory,
    store: ObjectStore,
    ref: RunRef,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_cancelled: bool,
) -> None:
    """Regression: the lock was handed over at once, and the late write then replaced the next writer's lines."""
    async with (
        interruptible(settings.s3_endpoint_url or "") as between,
        ObjectStore(settings.model_copy(update={"s3_endpoint_url": between.url}), seconds=2) as late,
    ):
        between.hold(lines(1))
        appending = asyncio.create_task(append_lines(sessions, late, ref, lines(1)))
        await eventually(lambda: between.has_held)
        if is_cancelled:
            appending.cancel()
        with pytest.raises(asyncio.CancelledError if is_cancelled else ObjectStoreUnavailable):
            await appending

        # Once it has tried to take the lock.
        over = partial(let_time_pass, monkeypatch, seconds=LOG_LOCK_PATIENCE.total_seconds())
        asyncio.get_running_loop().call_later(0.3, over)
        with pytest.raises(Unavailable):
            await append_lines(sessions, store, ref, lines(1, 2))
        await between.resume()
        await eventually(lambda: is_stored(store, ref, lines(1)))

    clock.advance(seconds=15)
    await append_lines(sessions, store, ref, lines(1, 2))
    assert await read(store, ref) == lines(1, 2)


async def is_stored(store: ObjectStore, ref: RunRef, content: bytes) -> bool:
    try:
        return await read(store, ref) == content
    except ObjectMissing:
        return False


@pytest.mark.parametrize("earlier", [b"", lines(1), b"x" * 6 * 2**20 + b"\n"], ids=["none", "small", "large"])
async def test_log_that_became_shorter_than_recorded_goes_on_with_what_is_there(
    sessions: SessionFactory, store: ObjectStore, ref: RunRef, earlier: bytes
) -> None:
    """A log can expire, and a store can finish a write of long ago: no more than that is lost."""
    await append_lines(sessions, store, ref, earlier + lines(2))
    if earlier:
        await store.put(ref.log_key, earlier, content_type="application/jsonl", tags={})
    else:
        await store.delete([ref.log_key])

    for number in (3, 4):
        await append_lines(sessions, store, ref, lines(number))

    assert await read(store, ref) == earlier + lines(3, 4)
    async with unit_of_work(sessions) as session:
        assert await session.scalar(select(RunLogState.size)) == len(earlier + lines(3, 4))
