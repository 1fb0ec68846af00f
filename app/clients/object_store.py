"""Protocols for object storage, and its errors; the implementation on S3 is in `s3`.

ObjectStoreUnavailable     the store did not respond in time, or refused; the same call may work in a moment
ObjectMissing              there is no object under this key
ObjectTooShort             the object has fewer bytes than are to be kept
RangeNotSatisfiable        the requested range begins after the object's end
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from app.clients.stored_objects import ListedObject, ObjectContent, ObjectInfo, SignedForm
from app.outages import Outage

# The bucket's lifecycle rules use this tag (contract 8.3): an object that was only uploaded expires after a day.
TTL_TAG = "ttl_days"
STAGED_DAYS = 1
KEPT_DAYS = 30
# Of the URL of an object.
URL_LIFETIME = timedelta(hours=1)
LOG_TAGS = {TTL_TAG: str(KEPT_DAYS)}


class ObjectStoreUnavailable(Outage):
    """The object store did not respond in time, or refused the request. The same request may work in a moment.

    If `may_be_applied` is true, the request was a write that the store may have applied, or may still apply later.
    """

    server = "object store"

    def __init__(self, message: str = "", *, may_be_applied: bool = False) -> None:
        super().__init__(message)
        self.may_be_applied = may_be_applied


class ObjectMissing(Exception):
    """The object store has no object with the requested key."""


class ObjectTooShort(Exception):
    """The stored object has fewer bytes than the caller asked to keep."""


class RangeNotSatisfiable(Exception):
    """The requested byte range begins after the end of the object."""


class ObjectFiles(Protocol):
    """The interface for reading and writing single objects. Every method may raise ObjectStoreUnavailable."""

    async def put(self, key: str, body: bytes | Path, *, content_type: str, tags: Mapping[str, str]) -> None:
        """Store an object under a key. It replaces the object that already has this key.

        Args:
            key: the key.
            body: the content, or the file that contains it.
            content_type: the media type.
            tags: the tags of the object. The bucket's expiry rules read them to decide when the object expires.

        """
        ...

    async def extend(
        self, key: str, size: int, tail: bytes, *, content_type: str, tags: Mapping[str, str]
    ) -> None:
        """Replace the object under `key` by its first `size` bytes followed by `tail`.

        A concurrent reader gets the old object or the new one, never a mixture. If two calls for one key run at the
        same time, one change is lost, so callers need a lock. An error of the store with `may_be_applied` does not end
        the call for the store: it may still replace the object.

        Raises:
            ObjectMissing: there is no object under this key.
            ObjectTooShort: the object has fewer than `size` bytes; nothing was changed.

        """
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the metadata of the object under a key; None if there is no such object."""
        ...

    def open(
        self, key: str, *, byte_range: str | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[ObjectContent]:
        """Return a context manager that opens an object for reading, and closes it at the end of the block.

        Args:
            key: the key.
            byte_range: the part to read, in the format of HTTP's Range (`bytes=0-99`), or None for the whole object.
            if_match: an ETag, or None. If the object has another ETag, `byte_range` is ignored: the whole object is
                opened.

        Raises:
            ObjectMissing: there is no object under this key.
            RangeNotSatisfiable: the part begins after the end of the object.

        """
        ...

    async def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace all tags of a stored object.

        Raises:
            ObjectMissing: there is no object under this key.

        """
        ...


class SignedLinks(Protocol):
    """The interface for signing URLs and forms, with which clients download and upload objects by themselves.

    Every method may raise ObjectStoreUnavailable.
    """

    async def signed_url(self, key: str) -> str:
        """Return a signed URL from which a client can GET an object. The URL is valid for an hour after it was signed.

        Calls in the first 55 minutes of that hour return the same URL, so that clients can cache the object.
        """
        ...

    async def signed_download(
        self, key: str, *, disposition: str, content_type: str, lifetime: timedelta
    ) -> str:
        """Return a new signed URL from which a client can GET an object, valid for `lifetime`.

        The response has the headers Content-Disposition and Content-Type with the values given here.
        """
        ...

    async def signed_form(self, key: str, *, max_bytes: int, lifetime: timedelta) -> SignedForm:
        """Return a form with which a client can upload an object of at most `max_bytes`, valid for `lifetime`.

        Another upload with the form replaces the object.
        """
        ...


class StoreHealth(Protocol):
    """The interface for checking whether the object store can be used."""

    async def check(self) -> None:
        """Check that the bucket responds. Raises ObjectStoreUnavailable if it does not."""
        ...


class Bucket(Protocol):
    """The interface for listing and deleting the objects of the bucket, and for the rules of their expiry.

    Every method may raise ObjectStoreUnavailable.
    """

    def pages(self, prefix: str) -> AsyncIterator[Sequence[ListedObject]]:
        """Yield lists of at most 1000 objects with keys that begin with `prefix`, in the order of the keys."""
        ...

    async def delete(self, keys: Sequence[str]) -> int:
        """Delete the objects under at most 1000 keys.

        Return the number of these keys that have no object afterwards. Keys that had none before are counted too.
        """
        ...

    async def write_lifecycle(self, days: Sequence[int]) -> bool:
        """Set the bucket's expiry rules, one for each number of days in `days`.

        A rule deletes the objects that are that old and have that number as the value of their tag `ttl_days`. Rules
        that the service did not write stay unchanged. Return True if the rules were written, and False if they were set
        already.
        """
        ...


class Storage(ObjectFiles, SignedLinks, StoreHealth, Bucket, Protocol):
    """The object store with all its operations: those of ObjectFiles, SignedLinks, StoreHealth and Bucket."""
