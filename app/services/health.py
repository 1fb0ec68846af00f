"""Whether the servers this process depends on are there."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from app.db import unit_of_work
from app.services.process import ProcessContext
from app.services.schema import schema_is_current

__all__ = ["check_readiness"]

_TIMEOUT_SECONDS = 3
_OK = "ok"

log = structlog.get_logger(__name__)


async def check_readiness(process: ProcessContext) -> dict[str, str]:
    """Return "ok", or what is wrong, for each part; all are asked at once, each for three seconds at most."""
    checks: dict[str, Callable[[ProcessContext], Awaitable[str]]] = {
        "database": _database,
        "redis": _redis,
        "object_store": _object_store,
    }
    states = await asyncio.gather(*(_state(name, check, process) for name, check in checks.items()))
    return dict(zip(checks, states, strict=True))


async def _state(
    name: str, check: Callable[[ProcessContext], Awaitable[str]], process: ProcessContext
) -> str:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            return await check(process)
    except TimeoutError:
        return "no answer"
    except Exception as error:  # noqa: BLE001 - whatever it is, this part is not ready, and the log says why
        log.warning("readiness.failed", part=name, error=repr(error))
        return "unavailable"


async def _database(process: ProcessContext) -> str:
    async with unit_of_work(process.sessions) as session:
        return _OK if await schema_is_current(session) else "schema is not current: run `taskbeacon migrate`"


async def _redis(process: ProcessContext) -> str:
    await process.redis.ping()
    return _OK


async def _object_store(process: ProcessContext) -> str:
    await process.store.check()
    return _OK
