"""An application on a real socket, inside the event loop of a test."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from tests.support.waiting import eventually


class _Server(uvicorn.Server):
    """A server inside the event loop of a test, which leaves the signals of the process alone."""

    @override
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(
    application: ASGIApp, protocol: type[asyncio.Protocol] | None = None
) -> AsyncGenerator[str, None]:
    """Serve an application on a free port of this machine and yield its base URL."""
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        http=protocol or "auto",
        log_level="error",
        lifespan="off",
        ws="none",
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())

    try:
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
