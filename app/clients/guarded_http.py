"""Send HTTP requests to hosts that users chose: connections go to exactly the address that was checked.

So a name that resolves differently the next time cannot evade the check. Redirects and proxies are not followed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from typing_extensions import override

from app.addresses import AddressPolicy
from app.clients.host_names import Names, NameServer, is_address, system_names
from app.clients.http_client import tls_context

# Extension of a request: a list, to which the last dialled address is added.
DIALLED = "taskbeacon.dialled"

# For a connection to one address, so that there is time for the next one.
CONNECT_SECONDS = 5.0

_DEFAULT_PORTS = {"https": 443, "http": 80}
_ADDRESSES_TRIED = 3
# The most hosts with connections that are kept: some push services let their users choose any number of names.
_HOSTS = 64


class BlockedAddress(httpx.ConnectError):
    """A request was refused, because its host has an IP address to which the service must not connect."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} may not be connected to")
        self.address = address


def create_guarded_client(
    policy: AddressPolicy, *, keepalive: int = 0, names: NameServer = system_names
) -> httpx.AsyncClient:
    """Return a client that connects only where `policy` permits, to up to three addresses of a host."""
    return httpx.AsyncClient(
        transport=_GuardedTransport(policy, keepalive, names),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        # Neither proxies nor passwords (.netrc) of this machine.
        trust_env=False,
    )


class _GuardedTransport(httpx.AsyncBaseTransport):
    def __init__(
        self, policy: AddressPolicy, keepalive: int, names: NameServer, *, hosts: int = _HOSTS
    ) -> None:
        self._policy = policy
        self._keepalive = keepalive
        self._hosts = hosts
        self._names = Names(names)
        # One for each host if connections are kept: two hosts at one address must not share a connection. Those used
        # last are at the end.
        self._transports: dict[str, _Transport] = {}

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
        await self._close_surplus()
        failure: httpx.TransportError | None = None
        for address in addresses[:_ADDRESSES_TRIED]:
            dialled[:] = [address]
            try:
                return await self._transport(host).send(_pin(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    @override
    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.http.aclose()
        self._names.close()

    def _transport(self, host: str) -> "_Transport":
        key = host if self._keepalive else ""
        transport = self._transports.pop(key, None)
        if transport is None:
            limits = httpx.Limits(max_keepalive_connections=self._keepalive, keepalive_expiry=60)
            http = httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits, trust_env=False)
            transport = _Transport(http)
        self._transports[key] = transport
        return transport

    async def _close_surplus(self) -> None:
        surplus = [
            host for host in list(self._transports)[: -self._hosts] if not self._transports[host].under_way
        ]
        for transport in [self._transports.pop(host) for host in surplus]:
            await transport.http.aclose()


@dataclass(slots=True)
class _Transport:
    """The connections to a host, and the number of its responses that are not closed yet."""

    http: httpx.AsyncHTTPTransport
    under_way: int = 0

    async def send(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        try:
            response = await self.http.handle_async_request(request)
        except BaseException:
            self.under_way -= 1
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, self)
        return response


@dataclass(slots=True)
class _Body(httpx.AsyncByteStream):
    """The body of a response; when it is closed, its request is not under way any more."""

    content: httpx.AsyncByteStream
    transport: _Transport

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self.content:
            yield part

    @override
    async def aclose(self) -> None:
        try:
            await self.content.aclose()
        finally:
            self.transport.under_way -= 1


def _pin(request: httpx.Request, address: str) -> httpx.Request:
    # Not `url.host`, which httpx has decoded.
    host = request.url.raw_host.decode("ascii")
    extensions = dict(request.extensions)
    if not is_address(host):
        extensions["sni_hostname"] = host
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )
