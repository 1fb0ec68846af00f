"""MCP servers that a run has for its agent: checked, and kept encrypted until the run is over (contract 5.8)."""

import asyncio
from collections.abc import Sequence

import orjson

from app.clients.host_names import Destinations
from app.enums import McpTransport
from app.errors import InvalidInput
from app.run_values import McpServer
from app.schemas.runs.mcp_servers import McpServerIn
from app.security import Cipher


async def require_permitted(servers: Sequence[McpServerIn], destinations: Destinations) -> None:
    """Check that no server is at an address that is refused. This looks names up, so release the session before."""
    refused = await asyncio.gather(*(destinations.refuses(server["url"]) for server in servers))
    if True in refused:
        raise InvalidInput(
            "The URL leads to an address that is not public.",
            attr=f"imported_mcp_servers__{refused.index(True)}__url",
        )


def seal_servers(cipher: Cipher, servers: Sequence[McpServerIn] | None) -> str | None:
    """Return the servers encrypted, for a new run; None if there are none."""
    return cipher.encrypt(orjson.dumps(servers).decode()) if servers else None


def open_servers(cipher: Cipher, encrypted: str | None) -> list[McpServer]:
    """Return the servers of a run. Raises DecryptionError."""
    servers = orjson.loads(cipher.decrypt(encrypted)) if encrypted else []
    return [McpServer(**server | {"type": McpTransport(server["type"])}) for server in servers]
