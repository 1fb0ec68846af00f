"""What holds the objects of a repository's Git LFS files, and how it is told that one of them makes trouble."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from app.agents.errors import LargeFilesFailed
from app.agents.lfs.objects import ObjectFolder, Pointer

__all__ = ["ObjectHost", "Take", "not_fetched", "not_stored"]

Take = Callable[
    [Pointer], AbstractAsyncContextManager[Path]
]  # yields a file of ours that holds just this object

_LONGEST_PATH = 200


class ObjectHost(Protocol):
    """A place of objects. Each is asked for with a path in the repository, by which people know it."""

    async def fetch(self, wanted: Mapping[Pointer, str], folder: ObjectFolder) -> None:
        """Put objects into a folder. Raises LargeFilesFailed."""

    async def store(self, offered: Mapping[Pointer, str], take: Take) -> None:
        """See to it that the host holds objects; `take` is asked for those that it lacks. Raises LargeFilesFailed."""


def not_fetched(path: str, reason: str) -> LargeFilesFailed:
    """Return the error that says whose content does not come."""
    return LargeFilesFailed(
        f"The content of the file '{path[:_LONGEST_PATH]}' (Git LFS) cannot be fetched: {reason}."
    )


def not_stored(path: str, reason: str) -> LargeFilesFailed:
    """Return the error that says whose content does not get to the host."""
    return LargeFilesFailed(
        f"The content of the file '{path[:_LONGEST_PATH]}' (Git LFS) cannot be stored at its host: {reason}. "
        "Nothing was pushed."
    )
