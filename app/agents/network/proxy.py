"""An HTTP proxy through which the agent of one run reaches a few hosts; its sandbox has no other network.

Only the proxy looks up names, and it connects to the very address that it checked. It cannot look inside TLS: an agent
could reach another server behind the address of an allowed host.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog

from app.agents.network.domains import covers
from app.coroutines.periodic import cancel_all
from app.security.addresses import PUBLIC, AddressPolicy, is_public

Report = Callable[[str], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

log = structlog.get_logger(__name__)
_PORTS = frozenset({80, 443})
_SECURE_PORT = 443
HEAD_BYTES = 32 * 1024  # of a request; the limit of the readers that `accept` gets
_CHUNK_BYTES = 64 * 1024
_HEAD_SECONDS = 20
_CONNECT_SECONDS = 15
# Models think for minutes without sending anything.
_IDLE_SECONDS = 15 * 60
_CONNECTIONS = 128
_BYTES = 50 * 2**30
_ADDRESSES_TRIED = 4
_REPORTS = 50
_NAME_LENGTH = 253
# Headers for the proxy only (RFC 9110, 7.6.1 and 11.7); a connection carries one request only.
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Service:
    """One port of a host that may be reached although it is on no list of domains; its address may be private."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Service":
        """Return the server that a URL, `host:port` or `host` names; 80 for `http`, else 443. Raises ValueError."""
        parts = urlsplit(text if "://" in text else f"https://{text}")
        if parts.hostname is None:
            raise ValueError(f"'{text}' names no host")
        return cls(_normal(parts.hostname), parts.port or (80 if parts.scheme == "http" else _SECURE_PORT))

    @property
    def authority(self) -> str:
        """The server as `host:port`, as in an HTTP request to a proxy; an IPv6 address is in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Where the proxy of one run connects: ports 80 and 443 of public `domains`, `services`, and MCP `servers`.

    The addresses of `servers` must satisfy `policy`. They are secret: the log of the run does not name them.
    """

    domains: Sequence[str] = ()
    services: Sequence[Service] = ()
    servers: Sequence[Service] = ()
    policy: AddressPolicy = PUBLIC

    def refusal(self, host: str, port: int) -> str | None:
        """Return why the proxy may not connect to a host and port; `admits` checks the address."""
        if Service(host, port) in (*self.services, *self.servers):
            return None
        if not covers(self.domains, host):
            return "it is not among the hosts that this run may reach"
        if port not in _PORTS:
            return "only the ports 80 and 443 may be reached"
        return None

    def admits(self, host: str, port: int, address: str) -> bool:
        """Return whether the proxy may connect to this address of a permitted host: public, or of a service."""
        service = Service(host, port)
        if service in self.services or is_public(address):
            return True
        return service in self.servers and self.policy.is_open(address)

    def name(self, host: str, port: int) -> str:
        """Return what the log of the run calls a host and port."""
        is_secret = any(server.host == host for server in self.servers)
        return "An imported MCP server" if is_secret else f"{host}:{port}"


class Connector:
    """Resolves names in its own threads, so that slow look-ups delay no other run, and opens connections."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="egress-names")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the IP addresses of a host, without duplicates. Raises OSError."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect(self, address: str, port: int) -> Streams:
        return await asyncio.open_connection(address, port)

    def close(self) -> None:
        """Release the threads that resolve names. Does not wait for look-ups in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Refused(Exception):
    """A request that the proxy itself answers; if `is_logged`, the refusal is also in the run's log."""

    def __init__(self, status: str, reason: str, *, is_logged: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.is_logged = is_logged


@dataclass(frozen=True, slots=True)
class _Request:
    host: str
    port: int
    head: bytes  # to send on; b"" for a tunnel


class Egress:
    """The HTTP proxy of one run: connects to permitted hosts; counts and reports the refused requests."""

    def __init__(self, allowance: Allowance, report: Report, *, connector: Connector | None = None) -> None:
        self._allowance = allowance
        self._report = report
        self._connector = connector or Connector()
        self._connections: set[asyncio.Task[None]] = set()
        self._carried = 0
        self._logged: set[str] = set()
        self.refused = 0
        self.refused_hosts: set[str] = set()

    def permit(self, allowance: Allowance) -> None:
        """Connect to the hosts of this allowance from now on, and forget the hosts that were refused."""
        self._allowance = allowance
        self.refused_hosts = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection from the sandbox; over the limit with an error, at twice the limit not at all."""
        if len(self._connections) >= 2 * _CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # Also by the task itself, but one that is cancelled before its first step runs no `finally`.
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handle(reader, writer)
        except _Refused as refused:
            await self._log_refusal(refused)
            await _answer(writer, refused)
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:  # TimeoutError is an OSError
            log.debug("egress.connection_failed", error=type(error).__name__)
        except Exception:
            # Logged here, because nothing awaits the task of a connection.
            log.exception("egress.unexpected_error")
        finally:
            await _close(writer)

    async def aclose(self) -> None:
        await cancel_all(self._connections)
        self._connector.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) > _CONNECTIONS:
            async with asyncio.timeout(1):
                await reader.read(HEAD_BYTES)  # otherwise the client might not read the answer
            raise _Refused("503 Service Unavailable", "too many connections at a time")
        request = _parse(await _read_head(reader))
        remote_reader, remote_writer = await self._connect(request)
        try:
            if request.head:
                remote_writer.write(request.head)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._relay((reader, writer), (remote_reader, remote_writer))
        finally:
            await _close(remote_writer)

    async def _connect(self, request: _Request) -> Streams:
        host, port = request.host, request.port
        place = self._allowance.name(host, port)
        refusal = self._allowance.refusal(host, port)
        if refusal is not None:
            raise self._refuse(place, refusal)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                found = await self._connector.resolve(host, port)
                addresses = [address for address in found if self._allowance.admits(host, port, address)]
                if not addresses:
                    raise self._refuse(place, "its name leads to an address that is not public")
                return await self._first(addresses[:_ADDRESSES_TRIED], port)
        except (OSError, UnicodeError):  # TimeoutError is one
            raise _Refused("502 Bad Gateway", f"{place} cannot be reached.", is_logged=True) from None

    def _refuse(self, place: str, why: str) -> _Refused:
        if len(self.refused_hosts) < _REPORTS:
            self.refused_hosts.add(place)
        return _Refused("403 Forbidden", f"{place} was refused: {why}.", is_logged=True)

    async def _first(self, addresses: Sequence[str], port: int) -> Streams:
        for address in addresses[:-1]:
            # A share of the time each: a silent address must leave some for the next.
            with suppress(OSError):
                async with asyncio.timeout(_CONNECT_SECONDS / len(addresses)):
                    return await self._connector.connect(address, port)
        return await self._connector.connect(addresses[-1], port)

    async def _relay(self, inside: Streams, remote: Streams) -> None:
        async with asyncio.timeout(_IDLE_SECONDS) as idle:
            upwards = asyncio.create_task(self._pump(inside[0], remote[1], idle))
            downwards = asyncio.create_task(self._pump(remote[0], inside[1], idle))
            try:
                await asyncio.wait((upwards, downwards), return_when=asyncio.FIRST_COMPLETED)
                if not downwards.done():
                    # Raises if the client has broken off. One that has only ended its request waits for the answer.
                    await upwards
                await downwards
            finally:
                await cancel_all((upwards, downwards))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        while chunk := await reader.read(_CHUNK_BYTES):
            self._carried += len(chunk)
            if self._carried > _BYTES:
                raise OSError("the run has carried more than its share")
            writer.write(chunk)
            await writer.drain()
            if not idle.expired():
                idle.reschedule(loop.time() + _IDLE_SECONDS)
        if writer.can_write_eof():
            writer.write_eof()

    async def _log_refusal(self, refused: _Refused) -> None:
        if not refused.is_logged:
            return
        if refused.status.startswith("4"):  # the others are outages
            self.refused += 1
        if refused.reason in self._logged or len(self._logged) > _REPORTS:
            return
        self._logged.add(refused.reason)
        full = len(self._logged) > _REPORTS
        await self._report("Further refusals are not reported." if full else refused.reason)


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _Refused(
            "431 Request Header Fields Too Large", "the head of the request is too large"
        ) from None


def _parse(head: bytes) -> _Request:
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not first.isprintable():  # noqa: PLR2004 - method, target, version
        raise _Refused("400 Bad Request", "this is an HTTP/1.1 proxy")
    method, target, _ = words
    if method == "CONNECT":
        host, port = _authority(target, default_port=None)
        return _Request(host, port, b"")
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() != "http":
        raise _Refused("400 Bad Request", "this proxy takes CONNECT, and http:// URLs")
    authority, slash, path = rest.partition("/")
    host, port = _authority(authority, default_port=80)
    kept = [f"Host: {authority}"]
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip() or "\n" in line or "\r" in line:
            raise _Refused("400 Bad Request", "a header is malformed")
        if name.lower() == "host":
            if value.strip().lower() != authority.lower():
                raise _Refused(
                    "400 Bad Request",
                    f"{host}:{port} was refused: the Host header names another.",
                    is_logged=True,
                )
        elif name.lower() not in _HOP_BY_HOP:
            kept.append(line)
    kept.append("Connection: close")
    text = "\r\n".join((f"{method} {slash}{path} HTTP/1.1" if slash else f"{method} / HTTP/1.1", *kept))
    return _Request(host, port, f"{text}\r\n\r\n".encode("latin-1"))


def _authority(text: str, *, default_port: int | None) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(default_port or "")
    port = port.lstrip("0")
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 2**16):
        raise _Refused("400 Bad Request", "the target needs a host and a port")
    name = _normal(host.removeprefix("[").removesuffix("]"))
    if not (0 < len(name) <= _NAME_LENGTH and all(letter.isalnum() or letter in ".-_:" for letter in name)):
        raise _Refused("400 Bad Request", "the host is none")
    return name, int(port)


def _normal(host: str) -> str:
    return host.lower().removesuffix(".")


async def _answer(writer: asyncio.StreamWriter, refused: _Refused) -> None:
    body = f"Taskbeacon: {refused.reason}\n".encode()
    head = f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    with suppress(OSError):
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
