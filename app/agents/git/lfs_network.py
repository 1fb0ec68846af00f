"""Keeps git-lfs out of private networks, to which a public code host could direct it for an object."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from app.addresses import is_public
from app.agents.git.command import Remote
from app.agents.network.proxy import HEAD_BYTES, Allowance, Egress, Service, SystemConnector

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_HTTPS = 443


class _PublicHosts(Allowance):
    """Allows the repository's own host, and by TLS any host at a public address."""

    @override
    def refusal(self, host: str, port: int) -> str | None:
        is_allowed = port == _HTTPS or Service(host, port) in self.services
        return None if is_allowed else "objects elsewhere are fetched by https"


@asynccontextmanager
async def limit_lfs_network(
    remote: Remote,
    environment: Mapping[str, str],
    *,
    is_public_address: Callable[[str], bool] = is_public,
) -> AsyncIterator[Sequence[str]]:
    """Yield git settings by which git-lfs reaches only the host of the repository and public addresses.

    There are none, so no limit, for a URL that is not http(s), a host in a private network, and where the operator has
    a proxy.
    """
    own = Service.parse(remote.url) if remote.is_http else None
    has_proxy = any(environment.get(name) for name in _PROXIES)
    if own is None or has_proxy or not await _has_address(own, is_public_address):
        yield ()
        return
    egress = Egress(_PublicHosts(services=(own,)), _ignore)
    server = await asyncio.start_server(egress.accept, "127.0.0.1", 0, limit=HEAD_BYTES)
    try:
        yield (f"http.proxy=http://127.0.0.1:{server.sockets[0].getsockname()[1]}",)
    finally:
        server.close()
        await egress.aclose()


async def _has_address(service: Service, condition: Callable[[str], bool]) -> bool:
    connector = SystemConnector()
    try:
        return any(map(condition, await connector.resolve(service.host, service.port)))
    except (OSError, UnicodeError):
        return True
    finally:
        connector.close()


async def _ignore(_refusal: str) -> None:
    pass
