"""Object storage as the service sees it; the implementation on S3 is in `s3.py`.

ObjectStoreUnavailable     the store did not answer in time, or refused; the same call may work in a moment
ObjectMissing              there is no object under this key
RangeNotSatisfiable        the wanted part begins behind the object's end
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from app.outages import Outage

# The bucket's lifecycle rules act on this tag (contract 8.3): what was only uploaded goes after a day.
TTL_TAG = "ttl_days"
STAGED_DAYS = 1
KEPT_DAYS = 30
# Of a URL that shows where an object is.
URL_LIFETIME = timedelta(hours=1)
LOG_TAGS = {TTL_TAG: str(KEPT_DAYS)}


class ObjectStoreUnavailable(Outage):
    """The store did not answer, or refused; the same call may work in a moment."""

    server = "object store"


class ObjectMissing(Exception):
    """There is no object under this key."""


class RangeNotSatisfiable(Exception):
    """The object ends before the wanted part begins."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of an object; `size` is None if the store does not report it."""

    size: int | None
    content_type: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of a listing."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SignedForm:
    """A form with which its holder may upload one object; the fields go before the file, verbatim."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """An object, or a part of it, being read; its chunks are never all in memory."""

    size: int
    # As in HTTP's Content-Range; None: this is the whole object.
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]


class ObjectStore(Protocol):
    """Where logs and artifacts are kept. Every method raises `ObjectStoreUnavailable`."""

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        """Store an object whole, from memory or from a file, replacing one of the same key."""
        ...

    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        """Replace an object by its first `size` bytes and `tail`, in bounded memory and for readers at once.

        Of concurrent calls for one key the last one wins: callers take turns.

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
        """Open an object, or the part that HTTP's `bytes=…` names; `if_match` asks for the part of one version only.

        Raises:
            ObjectMissing: there is nothing under this key.
            RangeNotSatisfiable: the part begins behind the end.

        """
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of an object.

        Raises:
            ObjectMissing: there is nothing under this key.

        """
        ...

    async def signed_url(self, key: str) -> str:
        """Return a GET URL valid for an hour; the same one for 55 minutes, so that clients may cache."""
        ...

    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        """Return a fresh GET URL that is answered with this Content-Disposition and Content-Type."""
        ...

    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        """Return a form that uploads exactly this key and at most so many bytes, for so long."""
        ...

    async def check(self) -> None:
        """Return if the bucket answers."""
        ...


class Bucket(Protocol):
    """The upkeep of what is kept, apart from single requests. Every method raises `ObjectStoreUnavailable`."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Return everything below a prefix, at most a thousand at a time, in the order of the keys."""
        ...

    async def delete(self, keys: Sequence[str]) -> int:
        """Remove objects, at most a thousand; return how many are gone. Repeatable."""
        ...

    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        """Have the bucket remove objects tagged with one of these lives; False: its rules say so already.

        Rules of others stay.
        """
        ...


class Storage(ObjectStore, Bucket, Protocol):
    """Both sides of one bucket: what a process owns."""
