"""Translate errors of the S3 library to those of `app/clients/object_store.py`."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from botocore.exceptions import ConnectionError as NotConnected

from app.clients.object_store import ObjectMissing, ObjectStoreUnavailable, RangeNotSatisfiable

NOT_FOUND = 404
_NOT_SATISFIABLE = 416
_SERVER_ERROR = 500


@contextmanager
def failures(what: str, *, of_object: bool = False, writes: bool = False) -> Iterator[None]:
    """Return a context manager that turns exceptions of the S3 library into the exceptions of the object store.

    Args:
        what: the operation, such as "read logs/1". An error message is "could not" followed by it.
        of_object: whether the status 404 means that the object is missing. If false, it is a failure of the store.
        writes: whether the operation changes an object, so that the store may apply it even though it failed here.

    Raises:
        ObjectMissing: the object is missing.
        RangeNotSatisfiable: the byte range begins after the end of the object.
        ObjectStoreUnavailable: every other failure of the store.

    """
    try:
        yield
    except ClientError as error:
        if of_object and status_of(error) == NOT_FOUND and not _has_vanished(error):
            raise ObjectMissing(what) from error
        if status_of(error) == _NOT_SATISFIABLE:
            raise RangeNotSatisfiable(what) from error
        raise _unavailable(what, may_be_applied=writes and _may_be_applied(error)) from error
    except NotConnected as error:
        # The server could not be reached, so it cannot be at work on an earlier try of the library either.
        raise _unavailable(what, may_be_applied=False) from error
    except (BotoCoreError, TimeoutError) as error:
        raise _unavailable(what, may_be_applied=writes) from error
    except Exception as error:
        from aiohttp import ClientError as HttpError  # noqa: PLC0415 - part of the library that is loaded late

        if isinstance(error, HttpError):
            raise _unavailable(what, may_be_applied=writes) from error
        raise


def _unavailable(what: str, *, may_be_applied: bool) -> ObjectStoreUnavailable:
    return ObjectStoreUnavailable(f"could not {what}", may_be_applied=may_be_applied)


def _has_vanished(error: ClientError) -> bool:
    """Return whether a multipart upload is missing, not an object.

    So a store may answer the repetition of the request that has completed the upload.
    """
    code: str = error.response.get("Error", {}).get("Code", "")
    return code == "NoSuchUpload"


def _may_be_applied(error: ClientError) -> bool:
    """Return whether a request can take effect despite its error response.

    A gateway may answer 5xx for a server that goes on, and the library may have repeated a request without a response.
    """
    is_repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
    return is_repeated or status_of(error) >= _SERVER_ERROR


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an exception of the S3 library; 0 if it has none."""
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status
