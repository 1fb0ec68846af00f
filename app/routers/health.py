"""Routes for operators of the service: liveness, readiness and metrics."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app import __version__
from app.schemas.health import LivenessOut, ReadinessOut
from app.web.dependencies import process_of
from app.web.openapi.errors import errors
from app.web.responses import Json, json_by

router = APIRouter(tags=["operations"])


@router.get(
    "/livez",
    operation_id="livez",
    summary="Check that the process is alive",
    response_description="The process is alive.",
    responses=errors(405),
)
async def live() -> LivenessOut:
    """Report that the process responds. No other server is contacted."""
    return {"status": "ok", "version": __version__}


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
    found = await process.health.check_readiness(process.sessions, process.redis, process.store)
    return json_by(found, yes=200, no=503)


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Read the metrics",
    # Not `PlainTextResponse`: FastAPI would describe the errors as text too.
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
    """Return the metrics of this process, of the queue of runs and of the workers, in the text format of Prometheus.

    They are at most one second old.
    """
    process = process_of(request)
    content = await process.health.read_metrics(process.sessions, process.redis)
    return Response(content, media_type=CONTENT_TYPE_LATEST)
