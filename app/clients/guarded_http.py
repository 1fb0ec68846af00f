"""Send HTTP requests to hosts that users chose: connections go to exactly the address that was checked.

Each connection looks the name up once, checks all its addresses, and connects to one of them, with the name
in TLS and in `Host`. So a name that resolves differently the next time cannot evade the check. Redirects are
not followed, and proxies of the environment are not used.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address

import httpx
from typing_extensions import override

from app.addresses import AddressPolicy
from app.clients.http_client import tls_context

# Extension of a request: a list, to which the last dialled address is added.
DIALLED = "taskbeacon.dialled"

# For a connection to one address, so that there is time for the next one.
CONNECT_SECONDS = 5.0

_DEFAULT_PORTS = {"https": 443, "http": 80}
_ADDRESSES_TRIED = 3
_LOOKUPS_AT_ONCE = 32

# Takes a host and a port, returns addresses; raises OSError.
NameServer = Callable[[str, int], Sequence[str]]


class BlockedAddress(httpx.ConnectError):
    """A request was refused, because its host has an IP address to which the service must not connect."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} may not be connected to")
        self.address = address


class NameNotFound(httpx.ConnectError):
    """A request failed, because its host name has no IP address or could not be looked up."""


def system_names(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host from the system's resolver, without duplicates. Blocks the thread.

    Raises:
        OSError: the look-up failed.

    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def create_guarded_client(
    policy: AddressPolicy, *, keepalive: int = 0, names: NameServer = system_names
) -> httpx.AsyncClient:
    """Return an HTTP client that connects only to IP addresses that `policy` permits; the caller closes it.

    If it cannot connect to one address of a host, or not in time, it tries the next; at most three. Its requests may
    raise every error of httpx, and two subclasses of `httpx.ConnectError`: BlockedAddress and NameNotFound.

    Args:
        policy: says whether the service may connect to an IP address.
        keepalive: the maximum number of idle connections that stay open. With 0, each request opens a connection, so
            that the address is checked for each request.
        names: the function that resolves host names; tests replace it.

    """
    return httpx.AsyncClient(
        transport=_GuardedTransport(policy, keepalive, names),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        # Neither proxies nor passwords (.netrc) of this machine.
        trust_env=False,
    )


class _GuardedTransport(httpx.AsyncBaseTransport):
    def __init__(self, policy: AddressPolicy, keepalive: int, names: NameServer) -> None:
        self._policy = policy
        self._keepalive = keepalive
        self._names = _Names(names)
        # One for each host if connections are kept: two hosts at one address must not share a connection.
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or _DEFAULT_PORTS[url.scheme]
        host = url.raw_host.decode("ascii")
        addresses = await self._names.find(host, port)
        dialled: list[str] = request.extensions.get(DIALLED, [])
        for address in addresses:
            if not self._policy.admits(address, scheme=url.scheme, port=port):
                dialled[:] = [address]
                raise BlockedAddress(address)
        failure: httpx.TransportError | None = None
        for address in addresses[:_ADDRESSES_TRIED]:
            dialled[:] = [address]
            try:
                return await self._transport(host).handle_async_request(_pin(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    @override
    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()
        self._names.close()

    def _transport(self, host: str) -> httpx.AsyncHTTPTransport:
        key = host if self._keepalive else ""
        if key not in self._transports:
            limits = httpx.Limits(max_keepalive_connections=self._keepalive, keepalive_expiry=60)
            self._transports[key] = httpx.AsyncHTTPTransport(
                verify=tls_context(), limits=limits, trust_env=False
            )
        return self._transports[key]


def _pin(request: httpx.Request, address: str) -> httpx.Request:
    """Return a request with one address as its host; `Host` and the name in TLS stay those of the URL."""
    # Not `url.host`, which httpx has decoded.
    host = request.url.raw_host.decode("ascii")
    extensions = dict(request.extensions)
    if not _is_address(host):
        extensions["sni_hostname"] = host
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Names:
    """Looks host names up in its own threads, each once at a time; slow look-ups must not delay others."""

    def __init__(self, names: NameServer) -> None:
        self._names = names
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="names")
        self._looking: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def find(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, at least one. Raises NameNotFound."""
        if _is_address(host):
            return [host]
        asked = (host, port)
        if asked not in self._looking:
            looking = asyncio.get_running_loop().run_in_executor(self._threads, self._names, host, port)
            self._looking[asked] = looking
            looking.add_done_callback(lambda _: self._looking.pop(asked, None))
        try:
            # Shielded: a cancelled caller must not cancel the look-up for others.
            found = await asyncio.shield(self._looking[asked])
        except (OSError, UnicodeError) as error:
            raise NameNotFound(f"{host} has no address") from error
        if not found:
            raise NameNotFound(f"{host} has no address")
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
