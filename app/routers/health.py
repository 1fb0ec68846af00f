"""Routes for operators of the service: liveness, readiness and metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api_limits import METRICS_SECONDS
from app.schemas.health import LivenessOut, ReadinessOut
from app.services.health import check_readiness
from app.services.runs.metrics import measure_queue
from app.web.dependencies import process_of
from app.web.openapi.errors import errors
from app.web.responses import Json

Value = TypeVar("Value")


class Coalesced(Generic[Value]):
    """A value that is loaded once for all callers that wait for it at the same time.

    After that, it is kept for `seconds`.
    """

    def __init__(self, *, seconds: float = 0) -> None:
        self._seconds = seconds
        self._loading: asyncio.Task[Value] | None = None
        self._kept: Value | None = None
        self._kept_until = 0.0

    async def get(self, load: Callable[[], Awaitable[Value]]) -> Value:
        """Return the kept value. If there is none or its time is over, call `load` and return the result.

        If a call of `load` is in progress already, wait for its result instead of calling it again. If `load` raises an
        error, the error is raised to each waiting caller. The cancellation of a caller does not cancel `load`.
        """
        loop = asyncio.get_running_loop()
        if self._kept is not None and loop.time() < self._kept_until:
            return self._kept
        if self._loading is None:
            self._loading = loop.create_task(self._load(load))
        return await asyncio.shield(self._loading)

    async def _load(self, load: Callable[[], Awaitable[Value]]) -> Value:
        try:
            value = await load()
        finally:
            self._loading = None
        if self._seconds:
            self._kept = value
            self._kept_until = asyncio.get_running_loop().time() + self._seconds
        return value


router = APIRouter(tags=["operations"])

# Public and unlimited: concurrent requests share one reading, so their number does not change the cost.
_readiness = Coalesced[tuple[ReadinessOut, bool]]()
_metrics = Coalesced[bytes](seconds=METRICS_SECONDS)


@router.get(
    "/livez",
    operation_id="livez",
    summary="Check that the process is alive",
    response_description="The process is alive.",
    response_model=LivenessOut,
    responses=errors(405),
)
async def live() -> Json:
    """Report that the process responds. No other server is contacted."""
    return Json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Check that the service is ready",
    response_description="All servers are ready.",
    response_model=ReadinessOut,
    responses=errors(405)
    | {503: {"model": ReadinessOut, "description": "At least one server is not ready; the body names it."}},
)
async def ready(request: Request) -> Json:
    """Report whether the database, its schema, Redis and the object store are ready, each separately.

    The status is 200 if all of them are ready, else 503.
    """
    process = process_of(request)
    answer, is_ready = await _readiness.get(
        lambda: check_readiness(process.sessions, process.redis, process.store)
    )
    return Json(answer, status_code=200 if is_ready else 503)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Read the metrics",
    # Not the response class of plain text, with which FastAPI would describe the errors as text too.
    response_class=Response,
    responses=errors(405)
    | {
        200: {
            "description": "Metrics in the text format of Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def metrics(request: Request) -> Response:
    """Return the metrics of this process and the number of waiting runs, in the text format of Prometheus.

    They are at most one second old.
    """

    async def read() -> bytes:
        await measure_queue(process_of(request).sessions)
        return await asyncio.to_thread(generate_latest)

    return Response(await _metrics.get(read), media_type=CONTENT_TYPE_LATEST)
