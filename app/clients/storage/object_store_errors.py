"""Errors of the object store."""

from app.outages import Outage


class ObjectStoreUnavailable(Outage):
    """The store did not respond, or refused; with `may_be_applied` it may still perform the write."""

    server = "object store"

    def __init__(self, message: str = "", *, may_be_applied: bool = False) -> None:
        super().__init__(message)
        self.may_be_applied = may_be_applied


class ObjectMissing(Exception):
    """The object store has no object with the requested key."""


class RangeNotSatisfiable(Exception):
    """The requested byte range begins after the end of the object."""


class ObjectTooShort(Exception):
    """The stored object has fewer bytes than the caller asked to keep."""
