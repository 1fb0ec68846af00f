"""Assemble the API application: middleware from the outermost inwards, error handlers and routes."""

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.config import Settings, get_settings
from app.config.values import ANY_PORT
from app.db.schema_revision import require_current_schema
from app.db.shared_clock import keep_synchronised
from app.routers import (
    actions,
    check_sets,
    docs,
    events,
    github_webhook,
    health,
    inbox,
    notifications,
    projects,
    questions,
    sandbox_environments,
    staged_artifacts,
    task_activity,
    tasks,
    users,
    webhook_endpoints,
)
from app.routers.console import files, sessions, terminals
from app.routers.devices import presence, push_tokens
from app.routers.runs import artifacts, commands, diff, logs, reviews, run, stream, verifications
from app.runtime import ProcessContext, open_process
from app.tracing.standard_variables import tracing
from app.web.console.files import FOLDER
from app.web.errors import install_error_handlers
from app.web.middleware import ObservabilityMiddleware, SameAnswerMiddleware
from app.web.openapi.document import install_openapi
from app.web.responses import LargeResponses

# The URLs, by module, in the order in which requests are matched: the most requested ones first.
ROUTERS = (
    presence.router,
    tasks.router,
    run.router,
    logs.router,
    stream.router,
    commands.router,
    staged_artifacts.router,
    artifacts.router,
    diff.router,
    reviews.router,
    sandbox_environments.router,
    check_sets.router,
    verifications.router,
    events.router,
    task_activity.router,
    webhook_endpoints.router,
    push_tokens.router,
    notifications.router,
    inbox.router,
    questions.router,
    actions.api_router,
    actions.page_router,
    users.router,
    sessions.router,
    terminals.router,
    projects.router,
    projects.offers_router,
    tasks.references_router,
    github_webhook.router,
    health.router,
    files.router,
    docs.router,
)

# Response headers that pages of other origins may read, beside those that every page may.
_EXPOSED_HEADERS = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Server-Timing",
    "X-Filtered-Count",
    "X-Has-More",
    "X-Matching-Count",
    "X-Request-Id",
    "X-Total-Count",
)


def create_app(settings: Settings | None = None, *, process: ProcessContext | None = None) -> FastAPI:
    """Return the API. Tests give an opened `process`; else it is opened at the start and closed at the end."""
    settings = settings or get_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object], None]:
        with tracing("taskbeacon-api"):
            async with open_process(settings, name="api", plan_once=True) as opened:
                await require_current_schema(opened.sessions)
                async with keep_synchronised(opened.sessions):
                    app.state.process = opened
                    # The HTTP protocol ends the live streams by it when the server stops.
                    yield {"hub": opened.hub}

    app = FastAPI(
        title="Taskbeacon",
        version=__version__,
        lifespan=None if process else lifespan,
        # Not `include_router`, which would make a second route of each at its first request.
        routes=[route for router in ROUTERS for route in router.routes],
        # Both forms of every path are routes; a redirect would lose bodies and credentials.
        redirect_slashes=False,
        # routers/docs.py serves both.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # Metrics are our own (`web/middleware.py`); the check for OpenTelemetry would cost time at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.process = process
    app.state.console = FOLDER
    app.state.large_responses = LargeResponses()
    install_error_handlers(app)
    install_openapi(app)
    # The middleware that is added last is the outermost.
    app.add_middleware(SameAnswerMiddleware)
    app.add_middleware(ObservabilityMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[origin for origin in settings.cors_origins if not origin.endswith(ANY_PORT)],
            allow_origin_regex=_any_port(settings.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=_EXPOSED_HEADERS,
        )
    return app


def _any_port(origins: Iterable[str]) -> str | None:
    hosts = [re.escape(origin.removesuffix(ANY_PORT)) for origin in origins if origin.endswith(ANY_PORT)]
    return rf"(?:{'|'.join(hosts)})(?::[0-9]{{1,5}})?" if hosts else None
