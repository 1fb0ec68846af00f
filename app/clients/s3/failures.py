"""Translate errors of the S3 library to those of `app/clients/object_store.py`."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from app.clients.object_store import ObjectMissing, ObjectStoreUnavailable, RangeNotSatisfiable

NOT_FOUND = 404
_NOT_SATISFIABLE = 416


@contextmanager
def failures(what: str, *, of_object: bool = False) -> Iterator[None]:
    """Return a context manager that turns exceptions of the S3 library into the exceptions of the object store.

    Args:
        what: the operation, such as "read logs/1". An error message is "could not" followed by it.
        of_object: whether the status 404 means that the object is missing. If false, it is a failure of the store.

    Raises:
        ObjectMissing: the object is missing.
        RangeNotSatisfiable: the byte range begins after the end of the object.
        ObjectStoreUnavailable: every other failure of the store.

    """
    try:
        yield
    except ClientError as error:
        if of_object and status_of(error) == NOT_FOUND:
            raise ObjectMissing(what) from error
        if status_of(error) == _NOT_SATISFIABLE:
            raise RangeNotSatisfiable(what) from error
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except (BotoCoreError, TimeoutError) as error:
        raise ObjectStoreUnavailable(f"could not {what}") from error
    except Exception as error:
        from aiohttp import ClientError as HttpError  # noqa: PLC0415 - part of the library that is loaded late

        if isinstance(error, HttpError):
            raise ObjectStoreUnavailable(f"could not {what}") from error
        raise


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an exception of the S3 library; 0 if it has none."""
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
