"""Ports on which nothing listens."""

import socket

__all__ = ["unused_port"]


def unused_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
