"""The first program inside any sandbox: receives the command and its secrets there, then becomes the agent.

They come through a descriptor that no program outside reads: a variable could make the dynamic loader or Python run
untrusted code outside. Arguments: this descriptor, and a pipe to the worker, which breaks when that dies. A script
with the standard library only, which imports what it needs to start: every agent waits for it.
"""

import marshal
import os
import resource
import select
import sys

TYPE_CHECKING = False  # importing `typing` would take longer than all else here
if TYPE_CHECKING:
    import asyncio
    import socket
    from typing import NoReturn

_CANNOT_RUN = 126
_NOT_FOUND = 127
_CHUNK_BYTES = 64 * 1024
_BACKLOG = 128


def _listen(port: int) -> "list[socket.socket]":
    import socket

    listeners = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
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
    proxy: str, tunnel: str | None, reader: "asyncio.StreamReader", writer: "asyncio.StreamWriter"
) -> None:
    import asyncio

    try:
        out_reader, out_writer = await asyncio.open_unix_connection(proxy)
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


async def _serve(proxy: str, listeners: "list[tuple[socket.socket, str | None]]") -> None:
    import asyncio
    import functools

    servers = [
        await asyncio.start_server(functools.partial(_forward, proxy, tunnel), sock=listener)
        for listener, tunnel in listeners
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _fork_forwarder(proxy: str, ports: dict[int, str | None]) -> None:
    # The forwarder is not a child of the agent, and ends with the sandbox. It listens before the agent starts, so that
    # the agent's first connection succeeds.
    listeners = [(listener, tunnel) for port, tunnel in ports.items() for listener in _listen(port)]
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
        os.dup2(null, stream)  # else the agent's pipes would stay open after the agent closes them
    try:
        import asyncio

        asyncio.run(_serve(proxy, listeners))
    finally:
        os._exit(0)


def _is_alone(worker: int) -> bool:
    # A worker that died before PR_SET_PDEATHSIG was set causes no signal.
    poll = select.poll()
    poll.register(worker, 0)
    return bool(poll.poll(0))


def _limit(limits: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, wanted in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))


def _fail(name: str, error: OSError | ValueError) -> "NoReturn":
    reason = error.strerror if isinstance(error, OSError) else str(error)
    os.write(2, f"{name}: {reason}\n".encode(errors="replace"))
    os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN)


def main() -> "NoReturn":
    """Prepare this process inside the sandbox, then become the command of the run."""
    with open(int(sys.argv[1]), "rb") as file:  # noqa: PTH123 - a descriptor
        instructions = marshal.load(file)  # noqa: S302 - the worker wrote it, with this very interpreter
    worker = int(sys.argv[2])
    if _is_alone(worker):
        os._exit(_CANNOT_RUN)
    os.write(worker, b"\n")  # the sandbox is built (ConfinedProcess.has_entered)
    os.close(worker)
    if instructions["ports"]:
        _fork_forwarder(instructions["proxy_socket"], instructions["ports"])
    command, directory = instructions["command"], instructions["directory"]
    try:
        os.chdir(directory)
    except OSError as error:
        _fail(directory, error)
    _limit(instructions["limits"])
    try:
        os.execvpe(command[0], command, instructions["environment"])  # noqa: S606 - without a shell
    except (OSError, ValueError) as error:  # ValueError: NUL in an argument, or `=` in the name of a variable
        _fail(command[0], error)


if __name__ == "__main__":
    main()
