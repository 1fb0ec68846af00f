"""What a worker process owns beside the clients every process has, and typed access to arq's context."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.agents.sandbox import Sandbox
from app.clients.run_changes import RunChanges
from app.services.process import ProcessContext

__all__ = ["WorkerContext", "worker_context"]

_KEY = "taskbeacon"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Opened once at the start of the worker, shared by all its jobs."""

    process: ProcessContext
    sandbox: Sandbox
    changes: RunChanges
    # The worker's environment, from which an adapter's allow-list picks.
    environment: Mapping[str, str]

    def as_arq_context(self) -> dict[str, Any]:
        """Return the dictionary that arq hands to every job."""
        return {_KEY: self}


def worker_context(ctx: Mapping[str, Any]) -> WorkerContext:
    """Return this worker's context from arq's."""
    context: WorkerContext = ctx[_KEY]
    return context
