"""Protocols for object storage, and its errors; the implementation on S3 is in `s3`.

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
    """Object storage did not respond, or refused the request; the same call may work in a moment."""

    server = "object store"


class ObjectMissing(Exception):
    """Object storage has no object under the requested key."""


class RangeNotSatisfiable(Exception):
    """The requested byte range begins after the object's end."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of a stored object; `size` is in bytes, None if the store does not report it."""

    size: int | None
    content_type: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """A stored object in a listing of the bucket."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A form that uploads an object under one key, also repeatedly.

    Its fields are sent verbatim before the file.
    """

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """A stored object, or a part of it, that is being read in chunks, never completely in memory."""

    size: int
    # As in HTTP's Content-Range; None for the whole object.
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]


class ObjectFiles(Protocol):
    """Reads and writes stored objects. Every method may raise `ObjectStoreUnavailable`."""

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        """Store an object from memory or a file under a key; an existing object is replaced."""
        ...

    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        """Append `tail` to the first `size` bytes of an object; bytes after those are dropped.

        It takes bounded memory, and readers see the old object or the new one. Of concurrent calls for one key the
        last one wins: callers need a lock.

        Raises:
            ObjectMissing: there is nothing under this key.

        """
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object under a key, None if there is no such object."""
        ...

    def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[ObjectContent]:
        """Open an object for reading.

        `byte_range` (`bytes=…`) selects a part, with `if_match` only if the ETag matches, else all.

        Raises:
            ObjectMissing: there is nothing under this key.
            RangeNotSatisfiable: the part begins after the end.

        """
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of a stored object.

        Raises:
            ObjectMissing: there is nothing under this key.

        """
        ...


class SignedLinks(Protocol):
    """Signs URLs and forms by which clients access objects.

    Every method may raise `ObjectStoreUnavailable`.
    """

    async def signed_url(self, key: str) -> str:
        """Return a URL to GET an object, valid for an hour.

        The same one for 55 minutes, so that clients may cache it.
        """
        ...

    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        """Return a new URL to GET an object, with these Content-Disposition and Content-Type headers."""
        ...

    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        """Return a form that lets a client upload an object of at most `max_bytes`, valid for `lifetime`.

        A repeated upload replaces the object.
        """
        ...


class StoreHealth(Protocol):
    """The health check of object storage."""

    async def check(self) -> None:
        """Check that the bucket responds. Raises ObjectStoreUnavailable."""
        ...


class Bucket(Protocol):
    """Maintenance of the whole bucket. Every method may raise `ObjectStoreUnavailable`."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield the objects below a prefix in the order of their keys, in lists of at most a thousand."""
        ...

    async def delete(self, keys: Sequence[str]) -> int:
        """Delete stored objects, at most a thousand; return the number of deleted ones. Repeatable."""
        ...

    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        """Let the bucket remove objects tagged with one of these lifetimes; False if its rules do so already.

        Other rules stay.
        """
        ...


class Storage(ObjectFiles, SignedLinks, StoreHealth, Bucket, Protocol):
    """Object storage with all its protocols, as a process opens it."""
