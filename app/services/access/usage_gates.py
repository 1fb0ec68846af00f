"""Usage gates, with which operators limit the cloud runs of a project (contract 2.4, 5.8 step 3)."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from app.config import Settings
from app.db import SessionFactory
from app.enums import LimitType
from app.errors import UsageLimitExceeded

Result = TypeVar("Result")

_PATIENCE_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A usage limit that a project has exceeded, with the details that the error response shows."""

    # Whether the project has a paid plan already, so that clients know what to offer.
    is_pro: bool = False
    limit_type: LimitType | None = None
    # The time from which another run is possible, if known; aware.
    reset_at: datetime | None = None


class UsageGate(Protocol):
    """A check that can refuse a cloud run because the project has exceeded a usage limit."""

    async def exceeded(self, *, project_id: int, user_id: int | None) -> Limit | None:
        """Return the limit that the project has exceeded; None if the run may begin.

        `user_id` asks for the run; None for a follow-up run of a task without a creator. The service calls this before
        it creates the run, perhaps concurrently, and holds no database connection meanwhile.
        """


# The object that `TASKBEACON_USAGE_GATE` names. A process opens the gate when it starts, until it ends.
UsageGateFactory = Callable[[Settings, SessionFactory], AbstractAsyncContextManager[UsageGate]]


class GatedWork(NamedTuple, Generic[Result]):
    """Work that cannot commit. `allowance` comes first: it may commit, and asks the gates without a connection."""

    allowance: Callable[[], Awaitable[None]]
    work: Callable[[], Awaitable[Result]]


class UsageGateInvalid(Exception):
    """Raised if the setting `TASKBEACON_USAGE_GATE` does not name an object that can be loaded."""


@asynccontextmanager
async def open_gates(
    settings: Settings, sessions: SessionFactory
) -> AsyncGenerator[Sequence[UsageGate], None]:
    """Open the usage gates that the settings name, and yield them; close them when the block ends."""
    gates: list[UsageGate] = []
    async with AsyncExitStack() as stack:
        if settings.usage_gate:
            factory = _load(settings.usage_gate)
            gates.append(await stack.enter_async_context(factory(settings, sessions)))
        yield gates


def _load(place: str) -> UsageGateFactory:
    module, _, name = place.partition(":")
    try:
        factory: UsageGateFactory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageGateInvalid(f"TASKBEACON_USAGE_GATE: cannot load {place!r}: {error}") from error
    return factory


async def ask_gates(gates: Sequence[UsageGate], *, project_id: int, user_id: int | None) -> None:
    """Ask every usage gate for another run, with no connection held; a gate that fails allows it."""
    for gate in gates:
        limit = await _ask(gate, project_id=project_id, user_id=user_id)
        if limit is not None:
            raise UsageLimitExceeded(
                is_pro=limit.is_pro, limit_type=limit.limit_type, reset_at=limit.reset_at
            )


async def _ask(gate: UsageGate, *, project_id: int, user_id: int | None) -> Limit | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await gate.exceeded(project_id=project_id, user_id=user_id)
    except Exception:
        # Any error: the gate may be an operator's own code.
        log.exception("usage.gate_failed", gate=type(gate).__name__)
        return None
