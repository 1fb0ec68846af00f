"""Enumeration of code hosts."""

from enum import StrEnum


class CodeHostKind(StrEnum):
    """The kind of a code host, the server of git repositories."""

    GITHUB = "github"
