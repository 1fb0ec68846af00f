"""Measures folders whose files may vanish meanwhile."""

import os
from contextlib import suppress
from pathlib import Path


def size_of(folder: Path) -> int:
    """Return the bytes in the files of a folder; links count as themselves."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total
