"""Results of the object store (object_store.py): metadata, listings and contents of objects, and forms for uploads."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The metadata of a stored object. `size` is in bytes; None if the store does not report it."""

    size: int | None
    content_type: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as a listing of the bucket shows it: key, size in bytes and time of the last change."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class SignedForm:
    """An HTML form with which clients upload a file to one object key, any number of times until the form expires.

    The client sends `fields` unchanged, before the file, by POST to `url`.
    """

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class ObjectContent:
    """A stored object, or a part of one, opened for reading. Its content is read in chunks.

    `size` is the number of bytes to read. `content_range` is the part that is read, in the format of HTTP's
    Content-Range, or None if the whole object is read.
    """

    size: int
    content_range: str | None
    etag: str
    chunks: AsyncIterator[bytes]
