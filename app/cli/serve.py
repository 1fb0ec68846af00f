"""`taskbeacon serve`: the API under uvicorn."""

import signal
import socket
import sys
from types import FrameType
from typing import Any

import click
import uvicorn
from typing_extensions import override
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from app.api_limits import IDLE_SECONDS
from app.cli.database import checked_settings
from app.cli.hidden_environment import hide_environment, start_tracker
from app.cli.serving.http_protocol import StreamingProtocol
from app.cli.serving.loading import load_api

# Container engines kill ten seconds after the stop signal; streams are closed before that.
_GRACEFUL_SHUTDOWN_SECONDS = 8


@click.command()
@click.option("--host", help="Address to listen on. Default: TASKBEACON_HOST.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on, 0 for any free one. Default: TASKBEACON_PORT.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
def serve(host: str | None, port: int | None, workers: int) -> None:
    """Run the API server until SIGTERM or Ctrl-C, with one or more processes that answer requests.

    By default, the address and port are those of the settings, and there is one process. At the end, the server accepts
    no more requests, and waits until those in progress have finished or a time limit is over.
    """
    hide_environment()
    # uvicorn raises the signal again after the last request. A requested stop must end with status 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    settings = checked_settings()
    config = uvicorn.Config(
        f"{load_api.__module__}:{load_api.__name__}",
        factory=True,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
        workers=workers,
        loop="uvloop",
        http=StreamingProtocol,
        ws="none",
        lifespan="on",
        # Our middleware logs each request with more fields.
        access_log=False,
        log_config=None,
        server_header=False,
        # Our middleware reads them, and unlike uvicorn also the host.
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
    )
    if workers > 1:
        start_tracker()
        Multiprocess(config, sockets=[DealtSocket.of(config.bind_socket())]).run()
    else:
        server = uvicorn.Server(config)
        server.run()
        if not server.started:
            sys.exit(STARTUP_FAILURE)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


class DealtSocket(socket.socket):
    """A bound socket that reserves a port and does not listen; sent by pickle, it becomes a new one on that port."""

    @classmethod
    def of(cls, bound: socket.socket) -> "DealtSocket":
        """Take over `bound`, which was bound exclusively to find a port in use, and let others bind beside it."""
        dealt = cls(bound.family, bound.type, bound.proto, fileno=bound.detach())
        # SO_REUSEADDR would let any other service bind the port until one of the processes listens.
        dealt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        dealt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return dealt

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return _bind, (self.family, self.getsockname())


def _bind(family: int, address: Any) -> socket.socket:
    beside = socket.socket(family, socket.SOCK_STREAM)
    beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    beside.bind(address)
    return beside
