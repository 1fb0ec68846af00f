"""The first program of an agent inside its sandbox: takes what must not pass outside, then becomes the agent.

Runs as a script of its own, with the standard library only. Two things come through a descriptor and not by the
command line or the environment, which the programs outside the walls have too: variables that users chose, one of
which could make the dynamic loader or Python run code of theirs out there; and the way to the proxy of the run, whose
Unix socket is served as ports of the loopback here. Arguments: the descriptor, then the command.

The agent waits for this program and not for the one that serves the ports, so only that one loads asyncio.
"""

import functools
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import asyncio

_CANNOT_RUN = 126
_NOT_FOUND = 127
_CHUNK_BYTES = 64 * 1024
_BACKLOG = 128
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def _listen(port: int) -> list[socket.socket]:
    """Listen on a port of every loopback address that there is."""
    listeners = []
    for family, address in _LOOPBACK:
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            if family is socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(_BACKLOG)
        except OSError:
            continue
        listeners.append(listener)
    return listeners


async def _pump(reader: "asyncio.StreamReader", writer: "asyncio.StreamWriter") -> None:
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def _forward(
    door: str, tunnel: str | None, reader: "asyncio.StreamReader", writer: "asyncio.StreamWriter"
) -> None:
    import asyncio  # noqa: PLC0415 - see above

    try:
        out_reader, out_writer = await asyncio.open_unix_connection(door)
    except OSError:
        writer.close()
        return
    try:
        if tunnel is not None:
            out_writer.write(f"CONNECT {tunnel} HTTP/1.1\r\n\r\n".encode())
            answer = await out_reader.readuntil(b"\r\n\r\n")
            if answer.split(b" ")[1] != b"200":
                return
        await asyncio.gather(_pump(reader, out_writer), _pump(out_reader, writer))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        out_writer.close()
        writer.close()


async def _serve(door: str, listeners: list[tuple[socket.socket, str | None]]) -> None:
    import asyncio  # noqa: PLC0415 - see above

    servers = [
        await asyncio.start_server(functools.partial(_forward, door, tunnel), sock=listener)
        for listener, tunnel in listeners
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _fork_forwarder(door: str, ports: dict[str, str | None]) -> None:
    """Leave a process behind that serves the ports; it is nobody's child here, and ends with the sandbox."""
    # Listening before the agent starts, so that it never comes too early.
    listeners = [(listener, tunnel) for port, tunnel in ports.items() for listener in _listen(int(port))]
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        for listener, _ in listeners:
            listener.close()
        return
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)  # the agent's pipes must close when the agent closes them
    try:
        import asyncio  # noqa: PLC0415 - see above

        asyncio.run(_serve(door, listeners))
    finally:
        os._exit(0)


def main() -> NoReturn:
    """Take the variables, open the way out, then be the command."""
    with os.fdopen(int(sys.argv[1]), "rb") as file:
        orders = json.load(file)
    command = sys.argv[2:]
    if orders["ports"]:
        _fork_forwarder(orders["door"], orders["ports"])
    os.environ.update(orders["variables"])
    try:
        os.execvp(command[0], command)  # noqa: S606 - the catalog's command, without a shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN)


if __name__ == "__main__":
    main()
