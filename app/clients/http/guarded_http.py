"""Send HTTP requests to hosts that users chose: connections go to exactly the address that was checked.

A name that resolves to another address the next time cannot evade the check. Redirects and proxies are not followed.
"""

from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from typing_extensions import override

from app.clients.http.host_names import Names, NameServer, is_address, system_names
from app.clients.http.http_client import tls_context
from app.security.addresses import AddressPolicy

# The request extension with a list, in which the transport puts the address that it dialled last.
DIALLED = "taskbeacon.dialled"

# The time limit of a connection to one address; it leaves time to try the next address of the host.
CONNECT_SECONDS = 5.0

_DEFAULT_PORTS = {"https": 443, "http": 80}
_ADDRESSES_TRIED = 3
# Connections are kept for this many hosts only, the first ones: some push services let their users choose any number
# of host names.
_HOSTS = 64
_KEPT_SECONDS = 60


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
        # It uses neither proxies nor passwords (.netrc) of this machine.
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
        # By host, because two hosts with one address must not share a connection; "" keeps none.
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = url.port or _DEFAULT_PORTS[url.scheme]
        # Not `url.host`, which httpx decodes.
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
                return await self._transport(host).handle_async_request(_pin(request, host, address))
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
        is_kept = host in self._transports or len(self._transports) < self._hosts
        key = host if self._keepalive and is_kept else ""
        if key not in self._transports:
            limits = httpx.Limits(
                max_keepalive_connections=self._keepalive if key else 0, keepalive_expiry=_KEPT_SECONDS
            )
            self._transports[key] = httpx.AsyncHTTPTransport(
                verify=tls_context(), limits=limits, trust_env=False
            )
        return self._transports[key]


def _pin(request: httpx.Request, host: str, address: str) -> httpx.Request:
    name = {} if is_address(host) else {"sni_hostname": host}
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, **name},
    )
