"""Finds the least recently used folders, such as mirrors and caches, to delete them."""

import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import accumulate
from pathlib import Path


def least_used(folders: Mapping[Path, Path], max_bytes: int) -> list[Path]:
    """Return the folders to delete so that the others fit; each is given with the file that has the time of its use."""
    used = []
    for folder, mark in folders.items():
        with suppress(FileNotFoundError):  # other workers delete too
            used.append((mark.stat().st_mtime, folder, _size(folder)))
    used.sort(reverse=True)
    sums = accumulate(size for _, _, size in used)
    return [folder for (_, folder, _), total in zip(used, sums, strict=True) if total > max_bytes]


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total
