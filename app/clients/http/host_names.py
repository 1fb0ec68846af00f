"""Look host names up without blocking the event loop, and decide where others may have the service connect."""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

import httpx

from app.coroutines.shielded import JoinedWork
from app.security.addresses import PUBLIC, AddressPolicy, split_url

_LOOKUPS_AT_ONCE = 32
# The time limit of a look-up for which a request waits.
_LOOKUP_SECONDS = 3.0
# If a look-up fails after this time, its name is refused for `_REFUSED_SECONDS`: each thread that waits for a silent
# name server is missing for all other names.
_SLOW_SECONDS = 5.0
_REFUSED_SECONDS = 30.0

# Takes a host and a port, returns addresses; raises OSError.
NameServer = Callable[[str, int], Sequence[str]]


class NameNotFound(httpx.ConnectError):
    """A request failed, because its host name has no IP address or could not be looked up."""


def system_names(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a host from the system's resolver, without duplicates. Blocks the thread."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Names:
    """Looks host names up in its own threads; callers that want the same name at once share one look-up."""

    def __init__(self, names: NameServer, *, slow_seconds: float = _SLOW_SECONDS) -> None:
        self._names = names
        self._slow_seconds = slow_seconds
        # When the refusal of each name ends, by the monotonic clock. Few: each has occupied a thread for seconds.
        self._refused: dict[str, float] = {}
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="names")
        self._looking = JoinedWork[Sequence[str]]()

    async def find(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host, at least one. Raises NameNotFound."""
        if is_address(host):
            return [host]
        now = time.monotonic()
        if self._refused.get(host, now) > now:
            raise NameNotFound(f"the name server of {host} does not answer")
        try:
            found = await self._looking.join(partial(self._in_thread, host, port), key=f"{host}:{port}")
        except (OSError, UnicodeError) as error:
            raise NameNotFound(f"{host} has no address") from error
        if not found:
            raise NameNotFound(f"{host} has no address")
        return found

    async def _in_thread(self, host: str, port: int) -> Sequence[str]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, host, port)

    def _look_up(self, host: str, port: int) -> Sequence[str]:
        began = time.monotonic()
        try:
            return self._names(host, port)
        except OSError:
            ended = time.monotonic()
            if ended - began >= self._slow_seconds:
                others = {name: until for name, until in self._refused.copy().items() if until > ended}
                self._refused = {**others, host: ended + _REFUSED_SECONDS}
            raise

    def close(self) -> None:
        """Release the threads. Does not wait for look-ups in progress."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Destinations:
    """Where users may send the service and agents: to hosts whose addresses all satisfy a policy."""

    def __init__(self, policy: AddressPolicy = PUBLIC, names: NameServer = system_names) -> None:
        self.policy = policy
        self._names = Names(names)

    async def refuses(self, url: str) -> bool:
        """Return whether the host of a URL has an address that is refused; False if none can be found now."""
        parts = split_url(url)
        assert parts.hostname is not None
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                addresses = await self._names.find(parts.hostname, parts.port or 0)
        except (NameNotFound, TimeoutError):
            return False
        return not all(map(self.policy.admits_address, addresses))

    def close(self) -> None:
        """Release the threads that look names up."""
        self._names.close()
