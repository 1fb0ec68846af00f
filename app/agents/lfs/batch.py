"""The batch API of Git LFS, as its public specification has it, at the host of a repository; with the basic transfer.

The run's credential goes to the repository's own host and nowhere else. The host says where its objects are, and is
believed if that is itself, or a place reached by TLS, which is not inside a network of ours unless the host is too.
What comes from there must be what the pointer says. URLs of objects are signed, so no message shows one.

Not among the clients: this is the part of a fetch and of a push that git leaves to others, and stands beside them.
"""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import httpx
import orjson
from pydantic import BaseModel, Field, StringConstraints, ValidationError
from typing_extensions import override

from app.addresses import is_public
from app.agents.errors import LargeFilesFailed
from app.agents.git.command import Remote
from app.agents.lfs.blocks import blocks_of, take_in
from app.agents.lfs.hosts import ObjectHost, Take, not_fetched, not_stored
from app.agents.lfs.objects import BLOCK, ObjectFolder, Pointer

__all__ = ["BatchApi"]

_JSON = "application/vnd.git-lfs+json"
_TIMEOUT_SECONDS = 60.0  # of each step of a transfer
_AT_A_TIME = 100  # objects that are asked for
_SIDE_BY_SIDE = 4
_MAX_ANSWER_BYTES = 4 * 2**20
_MAX_REASON_LENGTH = 500
_MAX_REDIRECTS = 3
_LONGEST_URL = 8000
_MOST_HEADERS = 50
_LONGEST_HEADER = 8000
_PORTS = range(1, 2**16)
# What of a host's answers is to be read is JSON of a few bytes: packed, it could be any size.
_DEFAULTS = {"User-Agent": "taskbeacon", "Accept-Encoding": "identity"}
# What belongs to the connection, whatever an action says.
_OURS = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


_Name = Annotated[str, StringConstraints(max_length=200, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
_Value = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=_LONGEST_HEADER, pattern=r"^[\t\x20-\x7e]*$"),
]


class _Action(BaseModel):
    href: Annotated[str, Field(max_length=_LONGEST_URL)]
    header: Annotated[dict[_Name, _Value] | None, Field(max_length=_MOST_HEADERS)] = None


class _Fault(BaseModel):
    message: str = ""


class _Object(BaseModel):
    oid: str
    authenticated: bool | None = None
    actions: dict[str, _Action] | None = None
    error: _Fault | None = None

    def action(self, name: str) -> _Action | None:
        return (self.actions or {}).get(name)


class _Answer(BaseModel):
    transfer: str | None = None
    hash_algo: str | None = None
    objects: Annotated[list[_Object], Field(max_length=_AT_A_TIME)]


class _Refused(Exception):
    """A request without a good answer; the text says why, for people."""


class BatchApi(ObjectHost):
    """The objects of one repository at a host that speaks HTTP."""

    def __init__(self, http: httpx.AsyncClient, remote: Remote) -> None:
        self._http = http
        self._remote = remote
        self._url = httpx.URL(f"{remote.url.rstrip('/').removesuffix('.git')}.git/info/lfs/objects/batch")
        # Whether hosts lead inside a network of ours, as it was when each was named first.
        self._inside: dict[str, bool] = {}

    @override
    async def fetch(self, wanted: Mapping[Pointer, str], folder: ObjectFolder) -> None:
        async def download(pointer: Pointer, entry: _Object) -> None:
            action = entry.action("download")
            if action is None:
                raise _Refused("its host does not have it")
            await self._download(pointer, action, folder, is_authenticated=entry.authenticated)

        await self._for_each("download", wanted, download, not_fetched)

    @override
    async def store(self, offered: Mapping[Pointer, str], take: Take) -> None:
        async def upload(pointer: Pointer, entry: _Object) -> None:
            action, verify = entry.action("upload"), entry.action("verify")
            if action is not None:
                async with take(pointer) as content:
                    await self._upload(pointer, action, content, is_authenticated=entry.authenticated)
            if verify is not None:
                text = orjson.dumps({"oid": pointer.oid, "size": pointer.size})
                headers = _headers({"Accept": _JSON, "Content-Type": _JSON}, verify)
                await self._ask(_url(verify.href), headers, text, is_authenticated=entry.authenticated)

        await self._for_each("upload", offered, upload, not_stored)

    async def _for_each(
        self,
        operation: str,
        named: Mapping[Pointer, str],
        perform: Callable[[Pointer, _Object], Awaitable[None]],
        failed: Callable[[str, str], LargeFilesFailed],
    ) -> None:
        """Ask what to do with each object and do it; some are asked for at a time, and few moved side by side."""

        async def work(pointers: Iterator[Pointer], entries: Mapping[str, _Object]) -> None:
            for pointer in pointers:
                try:
                    await perform(pointer, _entry_of(pointer, entries))
                except _Refused as refused:
                    raise failed(named[pointer], self._shown(refused)) from None
                except OSError as error:
                    raise failed(named[pointer], error.strerror or type(error).__name__) from error

        pointers = list(named)
        for start in range(0, len(pointers), _AT_A_TIME):
            some = pointers[start : start + _AT_A_TIME]
            try:
                entries = await self._entries(operation, some)
            except _Refused as refused:
                raise failed(named[some[0]], self._shown(refused)) from None
            left = iter(some)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(_SIDE_BY_SIDE):
                        group.create_task(work(left, entries))
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _entries(self, operation: str, pointers: Sequence[Pointer]) -> Mapping[str, _Object]:
        """Return what the host says of objects, by their ids."""
        wanted = {
            "operation": operation,
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers],
        }
        headers = _headers({"Accept": _JSON, "Content-Type": _JSON})
        said = await self._ask(self._url, headers, orjson.dumps(wanted), is_authenticated=False)
        try:
            answer = _Answer.model_validate_json(said)
        except ValidationError:
            raise _Refused(_UNREADABLE) from None
        if answer.transfer not in (None, "basic") or answer.hash_algo not in (None, "sha256"):
            raise _Refused("its host wants another transfer than was offered")
        return {entry.oid: entry for entry in answer.objects}

    async def _ask(
        self, url: httpx.URL, headers: httpx.Headers, text: bytes, *, is_authenticated: bool | None
    ) -> bytes:
        """Return the answer to a POST; a repository that has moved is followed, on its own host."""
        for _ in range(_MAX_REDIRECTS):
            async with self._exchange(
                "POST", url, headers, text, is_authenticated=is_authenticated
            ) as response:
                if response.next_request is None:
                    await _require_good(response)
                    return await _read(response)
                target = _checked(response.next_request.url)
            if not self._is_own(target):
                break
            url = target
        raise _Refused("its host redirects to somewhere else")

    async def _download(
        self, pointer: Pointer, action: _Action, folder: ObjectFolder, *, is_authenticated: bool | None
    ) -> None:
        url, headers = _url(action.href), _headers({}, action)
        for _ in range(_MAX_REDIRECTS):
            async with self._exchange("GET", url, headers, is_authenticated=is_authenticated) as response:
                if response.next_request is None:
                    await _require_good(response)
                    if not await take_in(response.aiter_raw(BLOCK), pointer, folder):
                        raise _Refused("what came is not what its pointer says")
                    return
                target = _checked(response.next_request.url)
            if _origin(target) != _origin(url):
                headers = _headers({})  # the others were for that place
            url = target
        raise _Refused("its host redirects too often")

    async def _upload(
        self, pointer: Pointer, action: _Action, content: Path, *, is_authenticated: bool | None
    ) -> None:
        headers = _headers({"Content-Type": "application/octet-stream"}, action)
        # Object stores take no body of unknown length.
        headers["Content-Length"] = str(pointer.size)
        with content.open("rb") as file:
            async with self._exchange(
                "PUT", _url(action.href), headers, blocks_of(file), is_authenticated=is_authenticated
            ) as response:
                await _require_good(response)

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        url: httpx.URL,
        headers: httpx.Headers,
        content: bytes | AsyncIterator[bytes] | None = None,
        *,
        is_authenticated: bool | None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request to a place that may be asked and yield its answer, of which nothing was read yet."""
        await self._require_place(url)
        sent = headers.copy()
        if self._is_own(url) and not is_authenticated and "authorization" not in sent:
            sent.update(self._authorization())
        try:
            async with self._http.stream(
                method, url, headers=sent, content=content, timeout=_TIMEOUT_SECONDS, follow_redirects=False
            ) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _Refused(f"{_shown_place(url)} does not answer ({type(error).__name__})") from error

    def _authorization(self) -> dict[str, str]:
        credential = self._remote.credential
        if credential is None:
            return {}
        pair = f"{credential.user}:{credential.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def _is_own(self, url: httpx.URL) -> bool:
        return _origin(url) == _origin(self._url)

    async def _require_place(self, url: httpx.URL) -> None:
        """Refuse places that a host has no reason to send anybody to."""
        if url.userinfo:
            raise _Refused("its host keeps it at an address with a credential in it")
        if self._is_own(url):
            return
        if url.scheme != "https" or not url.raw_host:
            raise _Refused(f"its host keeps it at {_shown_place(url)}, which is not reached by https")
        if not await self._leads_inside(self._url) and await self._leads_inside(url):
            raise _Refused(f"its host keeps it at {_shown_place(url)}, which is no public address")

    async def _leads_inside(self, url: httpx.URL) -> bool:
        host = url.raw_host.decode("ascii")
        if host not in self._inside:
            self._inside[host] = await _has_inner_address(host)
        return self._inside[host]

    def _shown(self, refused: _Refused) -> str:
        return self._remote.redact(str(refused))[:_MAX_REASON_LENGTH].rstrip(". ")


_UNREADABLE = "its host gave an answer that cannot be read"


def _entry_of(pointer: Pointer, entries: Mapping[str, _Object]) -> _Object:
    entry = entries.get(pointer.oid)
    if entry is None:
        raise _Refused(_UNREADABLE)
    if entry.error is not None:
        raise _Refused(entry.error.message or "its host refuses it")
    return entry


def _headers(defaults: Mapping[str, str], action: _Action | None = None) -> httpx.Headers:
    """Return what is sent: what the host says goes before what we would, and each name is there once."""
    headers = httpx.Headers({**_DEFAULTS, **defaults})
    for name, value in ((action and action.header) or {}).items():
        if name.lower() not in _OURS:
            headers[name] = value
    return headers


def _url(text: str) -> httpx.URL:
    """Read what a host gave as a URL. Who decides by it and who follows it see the same: it is read once."""
    try:
        return _checked(httpx.URL(text))
    except (httpx.InvalidURL, ValueError):
        raise _Refused(_UNREADABLE) from None


def _checked(url: httpx.URL) -> httpx.URL:
    # No host has a name with a percent sign: what a zone or an escape would lead to is not for a host to say.
    if b"%" in url.raw_host or (url.port is not None and url.port not in _PORTS):
        raise _Refused(_UNREADABLE)
    return url


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _shown_place(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


async def _has_inner_address(host: str) -> bool:
    """Tell whether a host has an address that is not public; where names are a proxy's business, that decides."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return not all(is_public(str(entry[4][0])) for entry in found)


async def _require_good(response: httpx.Response) -> None:
    if response.is_success:
        return
    reason = ""
    with suppress(ValidationError, _Refused):
        reason = _Fault.model_validate_json(await _read(response)).message
    place = _shown_place(response.request.url)
    raise _Refused(f"{place} answered {response.status_code}" + (f": {reason}" if reason else ""))


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > _MAX_ANSWER_BYTES:
            break
    else:
        return bytes(content)
    raise _Refused(_UNREADABLE)
