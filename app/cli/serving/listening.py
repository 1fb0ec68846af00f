"""The port that the processes of `serve --workers` share.

Each process listens on a socket of its own, and the kernel distributes connections among them. With one shared socket,
the first process that wakes up would accept all waiting connections, so long-lived connections, such as those of
proxies, would often end up in one process.
"""

import socket
from typing import Any

from typing_extensions import override


class DealtSocket(socket.socket):
    """A bound socket that reserves a port for several processes. It does not listen.

    If it is sent to another process by pickle, that process gets a new socket that is bound to the same port. If the
    reserving socket listened too, the kernel would give it a share of the connections, which no process accepts.
    """

    @classmethod
    def of(cls, bound: socket.socket) -> "DealtSocket":
        """Return a socket that takes over the file descriptor of `bound` and lets other sockets bind the same port.

        `bound` must have been bound exclusively, so that a port in use by another program was refused.
        """
        dealt = cls(bound.family, bound.type, bound.proto, fileno=bound.detach())
        # With it any service could bind the port until one of the processes listens.
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
