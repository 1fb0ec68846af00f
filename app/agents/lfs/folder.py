"""The objects of a bare repository on a disk of ours: in its folder `lfs`, where git-lfs looks for them too."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import override

from app.agents.lfs.blocks import blocks_of, take_in
from app.agents.lfs.hosts import ObjectHost, Take, not_fetched, not_stored
from app.agents.lfs.objects import ObjectFolder, Pointer

__all__ = ["FolderHost"]

# In this order git looks for the repository that a path means.
_FORMS = ("{}/.git", "{}", "{}.git/.git", "{}.git")


class FolderHost(ObjectHost):
    """A repository that `file://` leads to."""

    def __init__(self, path: Path) -> None:
        forms = [Path(form.format(path)) for form in _FORMS]
        repository = next((form for form in forms if (form / "HEAD").is_file()), path)
        self._held = ObjectFolder(repository / "lfs", outlives_runs=True)

    @override
    async def fetch(self, wanted: Mapping[Pointer, str], folder: ObjectFolder) -> None:
        for pointer, path in wanted.items():
            held = await asyncio.to_thread(self._held.find, pointer)
            if held is None:
                raise not_fetched(
                    path, f"there is no file {self._held.path}/objects/{pointer.place} of its size"
                )
            try:
                await _copy(held, pointer, folder)
            except (OSError, ValueError) as error:
                raise not_fetched(path, str(error)) from error

    @override
    async def store(self, offered: Mapping[Pointer, str], take: Take) -> None:
        for pointer in await asyncio.to_thread(self._held.lacking, offered):
            async with take(pointer) as content:
                try:
                    await _copy(content, pointer, self._held)
                except (OSError, ValueError) as error:
                    raise not_stored(offered[pointer], str(error)) from error


async def _copy(source: Path, pointer: Pointer, folder: ObjectFolder) -> None:
    """Put a file's content into a folder. Raises OSError, or ValueError if it is not what the pointer says."""
    with source.open("rb") as file:
        if not await take_in(blocks_of(file), pointer, folder):
            raise ValueError(f"{source} holds something else")
