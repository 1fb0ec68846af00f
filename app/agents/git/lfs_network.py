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
    """Yield git settings with which git-lfs reaches only the host of the repository and public addresses.

    The settings name a proxy of the worker, which runs until the block ends. In three cases no settings are yielded, so
    git-lfs is not limited: the URL of the repository is not http or https, its host is itself in a private network, or
    `environment` names a proxy of the operator, which then decides what git-lfs reaches.

    Args:
        remote: the remote repository.
        environment: the worker's environment variables.
        is_public_address: decides whether an IP address is public; tests replace it.

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
    """Return whether an address of the host meets the condition; True, the safe answer, if none is known."""
    connector = SystemConnector()
    try:
        return any(map(condition, await connector.resolve(service.host, service.port)))
    except (OSError, UnicodeError):
        return True
    finally:
        connector.close()


async def _ignore(_refusal: str) -> None:
    """Drop a refusal: git-lfs itself reports hosts that it could not reach."""
