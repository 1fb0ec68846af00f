"""What a worker process owns beside the clients every process has, and typed access to arq's context."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.agents.git.mirrors import Mirrors
from app.agents.sandbox.sandbox import Sandbox
from app.clients.run_changes import RunChanges
from app.runtime import ProcessContext
from app.services.code_hosts.credentials import CodeHosts
from app.worker.slots import RunSlots

# Claims of pushes that are under way at once: enough to have some sent while others are made and settled (ADR 37).
PUSH_LANES = 4

_KEY = "taskbeacon"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Opened once at the start of the worker, shared by all its jobs."""

    process: ProcessContext
    sandbox: Sandbox
    changes: RunChanges
    code_hosts: CodeHosts
    # None: every run makes a clone of its own.
    mirrors: Mirrors | None
    # The worker's environment, from which an adapter's allow-list picks.
    environment: Mapping[str, str]
    # Of the runs that this process performs.
    slots: RunSlots = field(default_factory=lambda: RunSlots(0))
    # Shared by all deliveries of this process, however many jobs there are.
    push_lanes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PUSH_LANES))

    def as_arq_context(self) -> dict[str, Any]:
        """Return the dictionary that arq hands to every job."""
        return {_KEY: self}


def worker_context(ctx: Mapping[str, Any]) -> WorkerContext:
    """Return this worker's context from arq's."""
    context: WorkerContext = ctx[_KEY]
    return context
