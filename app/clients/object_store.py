"""Object storage as the service uses it; the implementation on S3 is in `s3`.

ObjectStoreUnavailable     the store did not respond in time, or refused; the same call may work in a moment
ObjectMissing              there is no object under this key
RangeNotSatisfiable        the requested range begins after the object's end
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from app.outages import Outage

# The bucket's lifecycle rules use this tag (contract 8.3): an object that was only uploaded expires after a day.
TTL_TAG = "ttl_days"
STAGED_DAYS = 1
KEPT_DAYS = 30
# Of the URL of an object.
URL_LIFETIME = timedelta(hours=1)
LOG_TAGS = {TTL_TAG: str(KEPT_DAYS)}


class ObjectStoreUnavailable(Outage):
    """The store did not respond, or refused; the same call may work in a moment."""

    server = "object store"


class ObjectMissing(Exception):
    """There is no object under this key."""


class RangeNotSatisfiable(Exception):
    """The requested range begins after the object's end."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of an object; `size` is None if the store does not report it."""

    size: int | None
    content_type: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One entry of a listing."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A form by which its holder may upload one key, also repeatedly; the fields precede the file, verbatim."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """An object, or a part of it, being read; its chunks are never all in memory."""

    size: int
    # As in HTTP's Content-Range; None for the whole object.
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]


class ObjectFiles(Protocol):
    """Objects as the service reads and writes them. Every method raises `ObjectStoreUnavailable`."""

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        """Store an object from memory or a file; replaces an object with the same key."""
        ...

    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        """Replace an object by its first `size` bytes and `tail`, in bounded memory and atomically for readers.

        Of concurrent calls for one key the last one wins: callers need a lock.

        Raises:
            ObjectMissing: there is nothing under this key.

        """
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object under a key, None if there is none."""
        ...

    def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[ObjectContent]:
        """Open an object, or the part of HTTP's `bytes=…`; with `if_match` the part only if the ETag matches, else all.

        Raises:
            ObjectMissing: there is nothing under this key.
            RangeNotSatisfiable: the part begins after the end.

        """
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of an object.

        Raises:
            ObjectMissing: there is nothing under this key.

        """
        ...


class SignedLinks(Protocol):
    """URLs and forms for clients. Every method raises `ObjectStoreUnavailable`."""

    async def signed_url(self, key: str) -> str:
        """Return a GET URL valid for an hour; the same URL for 55 minutes, so that clients may cache it."""
        ...

    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        """Return a new GET URL, answered with this Content-Disposition and Content-Type."""
        ...

    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        """Return a form by which a client may upload this key, at most `max_bytes`, until `lifetime` is over.

        A repeated upload replaces the object.
        """
        ...


class ObjectStore(ObjectFiles, SignedLinks, Protocol):
    """The storage of logs and artifacts."""

    async def check(self) -> None:
        """Check that the bucket responds."""
        ...


class Bucket(Protocol):
    """Maintenance of the bucket, apart from single requests. Every method raises `ObjectStoreUnavailable`."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield the objects below a prefix in the order of their keys, at most a thousand at a time."""
        ...

    async def delete(self, keys: Sequence[str]) -> int:
        """Remove objects, at most a thousand; return the number removed. Repeatable."""
        ...

    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        """Let the bucket remove objects tagged with one of these lifetimes; False if its rules do so already.

        Other rules stay.
        """
        ...


class Storage(ObjectStore, Bucket, Protocol):
    """All interfaces of the bucket that a process uses."""
