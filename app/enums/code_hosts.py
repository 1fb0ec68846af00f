"""Enumeration of code hosts."""

from enum import StrEnum


class CodeHostKind(StrEnum):
    """The kind of a code host that the service has access to."""

    GITHUB = "github"
