"""Errors of the object store, as a tree, with what a caller does on each.

Outage
└── ObjectStoreUnavailable   try again, or answer 503; after `may_be_applied`, keep others from writing first
Exception
├── ObjectMissing            answer 404, or continue without the object
├── RangeNotSatisfiable      answer 416, or take the range as empty
└── ObjectTooShort           look up the size of the object, and extend it from there
"""

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
