"""The port of `serve --workers`: real sockets, handed on as uvicorn hands them to its processes."""

import multiprocessing.reduction
import pickle
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.cli.serve import DealtSocket

_CLIENTS = 64


@pytest.fixture
def held() -> Iterator[DealtSocket]:
    alone = socket.socket()
    alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    alone.bind(("127.0.0.1", 0))
    with DealtSocket.of(alone) as dealt:
        yield dealt


def _handed_on(dealt: DealtSocket) -> socket.socket:
    received = pickle.loads(multiprocessing.reduction.ForkingPickler.dumps(dealt))  # noqa: S301 - written here
    assert isinstance(received, socket.socket)
    received.listen(_CLIENTS)
    received.settimeout(10)
    return received


def test_connections_are_dealt_out_among_processes(held: DealtSocket) -> None:
    with ExitStack() as stack:
        listening = [stack.enter_context(_handed_on(held)) for _ in range(2)]
        for _ in range(_CLIENTS):
            stack.enter_context(socket.create_connection(held.getsockname(), timeout=120))
        # Each has some; that one has none by chance happens once in 2**63 times.
        for server in listening:
            connection, _ = server.accept()
            connection.close()


def test_port_is_refused_to_another_service_before_and_while_processes_listen(held: DealtSocket) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(held.getsockname())
        with _handed_on(held), pytest.raises(OSError, match="in use"):
            other.bind(held.getsockname())
