"""Copies attachments into `.taskbeacon/attachments/<id>/<name>`, and artifacts out of `.taskbeacon/artifacts/`.

The agent controls these folders: no link is followed; number, size and depth are bounded. Blocking.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from errno import ELOOP, ENOTDIR
from pathlib import Path
from typing import NamedTuple

from app.agents.errors import PathRefused, WorkspaceBroken, is_disk_full
from app.agents.files.safe_paths import open_folder, write_file
from app.api_limits import FILE_BYTES

# The service's folder in a clone. Its files are never committed.
OWN_FOLDER = ".taskbeacon"
ARTIFACTS = (OWN_FOLDER, "artifacts")
# The file for the structured output of a run, in the workspace of any agent.
OUTPUT_PATH = f"{OWN_FOLDER}/output.json"
_ATTACHMENTS = f"{OWN_FOLDER}/attachments"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_FILES = 100
_MAX_TOTAL_BYTES = 200 * 1024 * 1024
_MAX_DEPTH = 8
_MAX_ENTRIES = 10_000
_BLOCK = 1024 * 1024


class Attachment(NamedTuple):
    """A file that people gave to a run before its start. `path` is the worker's local copy of the file."""

    id: str
    name: str  # without a slash
    content_type: str
    size: int
    path: Path


def attached_path(work: Path, attachment: Attachment) -> Path:
    return work / _ATTACHMENTS / attachment.id / attachment.name


def place_attachments(work: Path, attachments: Sequence[Attachment]) -> None:
    """Copy attachments into the workspace `work`, each to its `attached_path`. Raises WorkspaceBroken if that fails."""
    for attachment in attachments:
        target = f"{_ATTACHMENTS}/{attachment.id}/{attachment.name}"
        try:
            write_file(work, target, attachment.path.read_bytes())
        except OSError as error:
            raise WorkspaceBroken(
                f"The attached file {attachment.name} cannot be put into the workspace: {error.strerror}"
            ) from error


def take_artifacts(work: Path, outbox: Path, mask: Callable[[str], str]) -> list[str]:
    """Copy the artifacts from `work` to `outbox`, as `000/<masked name>`; return why some were not. Raises OSError."""
    taker = _Taker(outbox, mask)
    with ExitStack() as opened:
        try:
            folder = opened.enter_context(open_folder(work, ARTIFACTS, "/".join(ARTIFACTS)))
        except (PathRefused, OSError):
            # The agent has deleted the folder, or replaced it by something else.
            return []
        taker.take_folder(folder, depth=1)
    return taker.left_out


class _Taker:
    """Copies artifacts to the outbox until a limit on their number or size is reached."""

    def __init__(self, outbox: Path, mask: Callable[[str], str]) -> None:
        self._outbox = outbox
        self._mask = mask
        self._files = 0
        self._bytes = 0
        self._entries = 0
        self.left_out: list[str] = []

    def take_folder(self, folder: int, *, depth: int) -> None:
        for name in self._names(folder):
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    self._take_below(folder, name, depth)
                elif stat.S_ISREG(mode):
                    self._take_file(folder, name)
                else:
                    self._leave_out(name, "not a regular file")
            except OSError as error:
                if is_disk_full(error):
                    # The run must fail: without this file it would look complete.
                    raise
                reason = "changed meanwhile" if error.errno in {ELOOP, ENOTDIR} else str(error.strerror)
                self._leave_out(name, reason)

    def _names(self, folder: int) -> Iterator[str]:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MAX_ENTRIES), strict=False)]
        for name in sorted(names):
            self._entries += 1
            if self._entries > _MAX_ENTRIES:
                return
            yield name

    def _take_below(self, folder: int, name: str, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            self._leave_out(name, "nested too deeply")
            return
        below = os.open(name, _FOLDER, dir_fd=folder)
        try:
            self.take_folder(below, depth=depth + 1)
        finally:
            os.close(below)

    def _take_file(self, folder: int, name: str) -> None:
        descriptor = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as source:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                self._leave_out(name, "not a regular file")
            elif status.st_size > FILE_BYTES:
                self._leave_out(name, f"larger than {FILE_BYTES // 2**20} MB")
            elif self._files >= _MAX_FILES:
                self._leave_out(name, f"more than {_MAX_FILES} files")
            elif self._bytes + status.st_size > _MAX_TOTAL_BYTES:
                self._leave_out(name, f"more than {_MAX_TOTAL_BYTES // 2**20} MB together")
            else:
                target = self._outbox / f"{self._files:03}"
                target.mkdir()
                try:
                    with (target / self._mask(name)).open("xb") as copy:
                        # Not more than the size that was checked: a process may still be writing.
                        remaining = status.st_size
                        while remaining and (block := source.read(min(_BLOCK, remaining))):
                            remaining -= copy.write(block)
                except OSError:
                    # An incomplete copy must not become an artifact.
                    shutil.rmtree(target)
                    raise
                self._files += 1
                self._bytes += status.st_size

    def _leave_out(self, name: str, reason: str) -> None:
        if len(self.left_out) < _MAX_FILES:
            self.left_out.append(f"{os.fsencode(name).decode(errors='replace')} ({reason})")
