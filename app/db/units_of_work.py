"""Sessions and units of work: one transaction for a request or a step of a job (ADR 71).

Effects on the outside world (a job, an event) run after its commit (`after_commit`). They may be lost in a crash, so a
row that requests the effect is written in the same transaction, and a sweep finds rows with a lost effect.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from types import MappingProxyType

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.db.lazy_sessions import LazySession, is_made, transaction_of
from app.db.transactions import Transaction
from app.outages import DATABASE_ERRORS, DatabaseUnavailable, is_database_outage, is_outage

SessionFactory = Callable[[], AsyncSession]
Hook = Callable[[], Awaitable[object] | None]

_HOOKS = "after_commit_hooks"
_IS_UNDIVIDED = "is_undivided"
# How many seconds all hooks of a commit may take together.
_HOOK_SECONDS = "hook_seconds"
log = structlog.get_logger(__name__)


def create_session_factory(
    engine: AsyncEngine, *, info: Mapping[str, object] = MappingProxyType({}), hook_seconds: float = 3
) -> SessionFactory:
    """Return a factory of sessions for `unit_of_work`, each with its own copy of `info` as its `info`."""
    own = {**info, _HOOK_SECONDS: hook_seconds}
    return lambda: LazySession(Transaction(engine.sync_engine), own)


@asynccontextmanager
async def unit_of_work(sessions: SessionFactory) -> AsyncGenerator[AsyncSession, None]:
    """Yield a session; commit after the block and run what `after_commit` registered. Raises DatabaseUnavailable."""
    session = sessions()
    try:
        try:
            yield session
            hooks = await _commit(session)
        finally:
            if transaction_of(session).connection or (
                is_made(session) and (session.in_transaction() or session.identity_map)
            ):
                # Shielded: not even a second cancellation may prevent the return of the connection.
                await asyncio.shield(asyncio.create_task(_close(session)))
    except DATABASE_ERRORS as error:
        if is_database_outage(error):
            raise DatabaseUnavailable(str(error)) from error
        raise
    await _run(hooks, session.info[_HOOK_SECONDS])


async def release(session: AsyncSession) -> None:
    """Commit, return the connection to the pool, and run the hooks. Call it before waiting for another server."""
    if _IS_UNDIVIDED in session.info:
        raise RuntimeError("what was done before must be committed with what follows")
    await _run(await _commit(session), session.info[_HOOK_SECONDS])


@contextmanager
def undivided(session: AsyncSession) -> Generator[None, None, None]:
    """Let `release` fail during the block: its changes are committed with those around it, or not at all."""
    session.info[_IS_UNDIVIDED] = True
    try:
        yield
    finally:
        del session.info[_IS_UNDIVIDED]


def after_commit(session: AsyncSession, hook: Hook) -> None:
    """Register a function that runs once after this session's commit; its errors are logged only.

    Once the hooks of a commit have taken `hook_seconds`, those that wait are cancelled: a sweep must do their work.
    """
    session.info.setdefault(_HOOKS, []).append(hook)


async def _commit(session: AsyncSession) -> list[Hook]:
    # An unused session has nothing to end, and ending it would cost as much as a statement.
    if is_made(session) and session.in_transaction():
        await session.commit()
    await transaction_of(session).end("COMMIT")
    hooks: list[Hook] = session.info.pop(_HOOKS, [])
    return hooks


async def _close(session: AsyncSession) -> None:
    try:
        await session.close()
    finally:
        # If the rollback cannot be sent, the server rolls back when the connection closes.
        with suppress(DatabaseUnavailable):
            await transaction_of(session).end("ROLLBACK")


async def _run(hooks: list[Hook], seconds: float) -> None:
    ends_at = asyncio.get_running_loop().time() + seconds
    for hook in hooks:
        try:
            # One limit for all: they may wait for the same frozen server. Hooks that do not wait run after it too.
            async with asyncio.timeout_at(ends_at):
                if (work := hook()) is not None:
                    await work
        except TimeoutError:
            name = getattr(getattr(hook, "func", hook), "__qualname__", "")
            log.warning("db.after_commit_failed", error="not done in time", hook=name)
        except Exception as error:
            # The transaction is committed: a failure here must not turn its response into an error.
            if is_outage(error):
                log.warning("db.after_commit_failed", error=repr(error))
            else:
                log.exception("db.after_commit_failed")
