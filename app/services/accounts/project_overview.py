"""What a project can use: agents, limits, and room for runs, with what workers report of them (contract 19, 20)."""

from collections.abc import Collection
from typing import Any, Literal
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.adapter import Adapter
from app.agents.adapters.catalog import Catalog
from app.api_limits import BODY_BYTES, FILE_BYTES, PDF_BYTES
from app.clients.redis import RedisClient
from app.config import Settings
from app.errors import NotFound
from app.models import SandboxEnvironment
from app.outages import REDIS_ERRORS
from app.schemas.projects import LimitsOut, LimitUnit, QueueOut
from app.schemas.runs.agents import AgentOut, AgentsOut
from app.services.access.principal import Principal
from app.services.access.visibility import visible_environment
from app.services.check_sources.check_sets import warn_of_networks
from app.services.runs.queue.claim_order import find_next_project
from app.services.runs.queue.queue_figures import read_figures
from app.services.runs.queue.worker_reports import WorkerReport, read_reports

_MIB = 2**20

log = structlog.get_logger(__name__)


async def list_agents(
    session: AsyncSession,
    caller: Principal,
    environment_id: UUID | None,
    *,
    redis: RedisClient,
    catalog: Catalog,
) -> AgentsOut:
    """Return the agents that runs of the project may request, and why one cannot be chosen."""
    variables = await _variables_of(session, caller, environment_id) if environment_id else ()
    reports = await _find_reports(redis)
    adapters = [catalog.adapters[name] for name in catalog.choices]
    return {
        "results": [_show(each, reports or [], variables) for each in adapters],
        "workers": None if reports is None else len(reports),
    }


async def _find_reports(redis: RedisClient) -> list[WorkerReport] | None:
    # While Redis is away there are no reports, and the rest of the overview is shown.
    try:
        return await read_reports(redis)
    except REDIS_ERRORS as error:
        log.warning("workers.not_read", error=repr(error))
        return None


async def _variables_of(session: AsyncSession, caller: Principal, environment_id: UUID) -> Collection[str]:
    stored = select(SandboxEnvironment.encrypted_variables).where(
        visible_environment(caller), SandboxEnvironment.id == environment_id
    )
    variables: dict[str, str] | None = await session.scalar(stored)
    if variables is None:
        raise NotFound
    return variables


async def find_warnings(redis: RedisClient, settings: Settings) -> list[str]:
    """Return which networks of check sets workers cannot enforce; without a worker, what follows from settings."""
    reports = await _find_reports(redis)
    if not reports:
        return warn_of_networks(settings, settings.agent_sandbox)
    return list(dict.fromkeys(warning for report in reports for warning in report["warnings"]))


def _show(adapter: Adapter, reports: list[WorkerReport], variables: Collection[str]) -> AgentOut:
    own = [report["agents"][adapter.name] for report in reports if adapter.name in report["agents"]]
    installed, has_key = any(each for each, _ in own), any(key for _, key in own)
    has_key = has_key or not adapter.keys or any(name in variables for name in adapter.keys)
    reason = None
    if reports and not installed:
        reason = f"No worker has its program. {adapter.install}"
    elif reports and not has_key:
        reason = (
            f"No worker has a key for it, and the sandbox environment neither: {', '.join(adapter.keys)}."
        )
    models: list[Any] = [
        {
            "name": model.name,
            "display_name": model.display_name,
            "efforts": list(adapter.supported_efforts(model.name)),
        }
        for model in adapter.models
    ]
    return {
        "name": adapter.name,
        "provider": adapter.provider,
        "available": reason is None,
        "reason": reason,
        "installed": installed if reports else None,
        "has_key": has_key if reports or has_key else None,
        "models": models,
        "modes": list(adapter.permission_modes),
        "default_mode": adapter.default_mode,
        "install": adapter.install,
    }


def list_limits(settings: Settings) -> LimitsOut:
    """Return the limits that operators set, and the largest sizes of requests and files."""
    limits: tuple[tuple[str, float, LimitUnit], ...] = (
        ("requests_per_minute", settings.throttle_per_minute, "requests_per_minute"),
        ("requests_per_hour", settings.throttle_per_hour, "requests_per_hour"),
        ("request_bytes", BODY_BYTES, "bytes"),
        ("file_bytes", FILE_BYTES, "bytes"),
        ("pdf_bytes", PDF_BYTES, "bytes"),
        ("concurrent_runs", settings.project_concurrency, "count"),
        ("run_seconds", settings.run_timeout_seconds, "seconds"),
        ("run_idle_seconds", settings.run_idle_seconds, "seconds"),
        ("run_memory_bytes", settings.agent_memory_mb * _MIB, "bytes"),
        ("run_disk_bytes", settings.agent_disk_mb * _MIB, "bytes"),
        ("task_tokens", settings.task_token_budget, "tokens"),
        ("task_cost", settings.task_cost_budget, "usd"),
    )
    # Operators write 0 where there is none.
    return {"results": [{"id": id_, "value": value or None, "unit": unit} for id_, value, unit in limits]}


async def show_queue(
    session: AsyncSession, caller: Principal, *, redis: RedisClient, settings: Settings
) -> QueueOut:
    """Return how many runs of the caller's project wait and are performed, and what workers offer to all projects."""
    limit, figures = settings.project_concurrency, await read_figures(session, caller.project.id)
    reports = await _find_reports(redis)
    slots = None if reports is None else sum(report["slots"] for report in reports)
    waits_for: Literal["worker", "slot", "turn", "limit"] | None = None
    if figures.queued and limit and figures.active >= limit:
        waits_for = "limit"
    elif figures.queued and slots is not None:
        waits_for = "slot" if slots else "worker"
        if slots and await find_next_project(session, limit) != caller.project.id:
            waits_for = "turn"
    return {
        "queued": figures.queued,
        "oldest_queued_seconds": figures.oldest_seconds,
        "active": figures.active,
        "limit": limit or None,
        "waits_for": waits_for,
        "workers": None if reports is None else len(reports),
        "slots": slots,
    }
