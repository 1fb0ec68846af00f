"""`taskbeacon serve`: the API under uvicorn."""

import gc
import signal
import sys
from types import FrameType

import click
import uvicorn
from starlette.types import ASGIApp

from app.cli.database import check_schema
from app.cli.protocol import StreamingProtocol
from app.cli.settings import check_catalog, service_settings
from app.config import get_settings
from app.main import create_app
from app.observability import configure_logging
from app.web.proxies import TrustedProxies

__all__ = ["create_logging_app", "serve"]

# Container engines kill ten seconds after asking; streams are closed before that.
_GRACEFUL_SHUTDOWN_SECONDS = 8


def create_logging_app() -> ASGIApp:
    """Return the API behind the proxies it trusts, with logs set up: a process of `--workers` starts from nothing."""
    settings = get_settings()
    configure_logging(settings.log_format, settings.log_level)
    app = TrustedProxies(create_app(settings), trusted=settings.forwarded_allow_ips)
    # What is loaded by now stays until the end. Without this, each full collection would look through all of it, and
    # hold up requests for as long as many of them take.
    gc.freeze()
    return app


@click.command()
@click.option("--host", help="Address to listen on. Default: TASKBEACON_HOST.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on, 0 for any free one. Default: TASKBEACON_PORT.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Run the API.

    Stops accepting on SIGTERM or Ctrl-C and lets requests in progress finish.
    """
    # Once requests have ended uvicorn raises the signal again: stopping when asked to is no failure.
    signal.signal(signal.SIGTERM, _exit)
    settings = service_settings()
    configure_logging(settings.log_format, settings.log_level)
    check_catalog(settings)
    check_schema(settings)
    uvicorn.run(
        f"{__name__}:{create_logging_app.__name__}",
        factory=True,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        workers=workers,
        loop="uvloop",
        http=StreamingProtocol,
        ws="none",
        lifespan="on",
        # One structured line per request comes from our own middleware, and knows more.
        access_log=False,
        log_config=None,
        server_header=False,
        # Our own middleware believes them, and the host among them.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
    )


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
