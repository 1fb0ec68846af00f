"""What the service offers: the agents of the catalog, with what workers report of them, and limits (contract 19).

A worker reports what it has with a life of a minute, so that its report ends with it.
"""

from collections.abc import Collection, Mapping
from time import time
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.adapters.adapter import Adapter
from app.api_limits import BODY_BYTES
from app.clients.redis import RedisClient
from app.config import Settings
from app.errors import NotFound
from app.models import SandboxEnvironment
from app.schemas.runs.agents import AgentOut, AgentsOut, LimitsOut, LimitUnit
from app.schemas.staged_artifacts import MAX_BYTES
from app.services.access.principal import Principal
from app.services.access.visibility import visible_environment
from app.services.opened_clients import ServiceClients

REPORT_SECONDS = 20.0
_LIFE_SECONDS = 60
_REPORTS = "taskbeacon:agents"
_MOST_WORKERS = 1000
_MIB = 2**20

# Of an agent's name: whether its program is installed, and whether the worker has a key for it.
Report = Mapping[str, tuple[bool, bool]]


async def report_agents(redis: RedisClient, worker: str, report: Report) -> None:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.set(f"{_REPORTS}:{worker}", orjson.dumps(report), ex=_LIFE_SECONDS)
        pipeline.zremrangebyscore(_REPORTS, "-inf", time() - _LIFE_SECONDS)
        pipeline.zadd(_REPORTS, {worker: time()})
        await pipeline.execute()


async def withdraw_report(redis: RedisClient, worker: str) -> None:
    await redis.delete(f"{_REPORTS}:{worker}")


async def list_agents(
    session: AsyncSession, caller: Principal, environment_id: UUID | None, clients: ServiceClients
) -> AgentsOut:
    """Return the agents that runs of the project may request, and why one cannot be chosen."""
    variables = await _variables_of(session, caller, environment_id) if environment_id else ()
    reports = await _read_reports(clients.redis)
    adapters = [clients.catalog.adapters[name] for name in clients.catalog.choices]
    return {"results": [_show(each, reports, variables) for each in adapters], "workers": len(reports)}


async def _variables_of(session: AsyncSession, caller: Principal, environment_id: UUID) -> Collection[str]:
    named = select(SandboxEnvironment.encrypted_variables).where(
        visible_environment(caller), SandboxEnvironment.id == environment_id
    )
    variables: dict[str, str] | None = await session.scalar(named)
    if variables is None:
        raise NotFound
    return variables


async def _read_reports(redis: RedisClient) -> list[Report]:
    workers = await redis.zrevrange(_REPORTS, 0, _MOST_WORKERS - 1)
    found = await redis.mget([f"{_REPORTS}:{worker.decode()}" for worker in workers]) if workers else []
    return [orjson.loads(report) for report in found if report is not None]


def _show(adapter: Adapter, reports: list[Report], variables: Collection[str]) -> AgentOut:
    own = [report[adapter.name] for report in reports if adapter.name in report]
    installed, has_key = any(there for there, _ in own), any(key for _, key in own)
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
    """Return the limits that operators set, and the sizes that requests meet first."""
    limits: tuple[tuple[str, float, LimitUnit], ...] = (
        ("requests_per_minute", settings.throttle_per_minute, "requests_per_minute"),
        ("requests_per_hour", settings.throttle_per_hour, "requests_per_hour"),
        ("request_bytes", BODY_BYTES, "bytes"),
        ("file_bytes", MAX_BYTES, "bytes"),
        ("concurrent_runs", settings.project_concurrency, "count"),
        ("run_seconds", settings.run_timeout_seconds, "seconds"),
        ("run_idle_seconds", settings.run_idle_seconds, "seconds"),
        ("run_memory_bytes", settings.agent_memory_mb * _MIB, "bytes"),
        ("run_disk_bytes", settings.agent_disk_mb * _MIB, "bytes"),
        ("task_tokens", settings.task_token_budget, "tokens"),
        ("task_cost", settings.task_cost_budget, "usd"),
    )
    # Operators write 0 where there is none.
    return {
        "results": [
            {"id": id_, "value": value or None, "unit": unit, "used": None} for id_, value, unit in limits
        ]
    }
