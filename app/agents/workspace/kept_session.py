"""What an agent keeps of a conversation in its home, so that a later run can take the conversation up again.

The home goes with its run. Which folders of it hold conversations is said by the adapter; credentials lie elsewhere,
and known secrets are masked. What was kept is text that an agent wrote: it is only ever laid into the home of an agent
that works on the same task, below the same folders.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.agents.adapters.adapter import Adapter
from app.agents.base.safe_paths import read_file, write_file
from app.agents.errors import PathRefused
from app.masking import Masker

__all__ = [
    "MAX_BYTES",
    "MAX_FILES",
    "MAX_PACKED_BYTES",
    "KeptSession",
    "SessionKeeper",
    "keep_session",
    "lay_session",
    "pack",
    "unpack",
]

# Of all files of a session together. What is larger is not kept: half a conversation is none.
MAX_BYTES = 32 * 2**20
MAX_FILES = 500
_MAX_ENTRIES = 20_000
MAX_PACKED_BYTES = 16 * 2**20
# JSON makes text longer, by its quotes.
_MAX_UNPACKED_BYTES = 2 * MAX_BYTES
# How agents make one name of a path.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]")
_LOGGER = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """A conversation as its agent left it."""

    adapter: str
    session_id: str  # the agent's own
    folder: str  # of the run; its files name places below it
    files: Mapping[str, str] = field(repr=False)  # path below the home to text


class _Packed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    adapter: str = Field(min_length=1, max_length=40)
    session_id: str = Field(min_length=1, max_length=1000)
    folder: str = Field(min_length=1, max_length=4096)
    files: dict[str, str] = Field(max_length=MAX_FILES)


def keep_session(
    home: Path, folders: Sequence[str], *, adapter: str, session_id: str, folder: Path, masker: Masker
) -> KeptSession | None:
    """Return the conversation that a home holds; None if there is none, or more than can be kept.

    Call it when the agent's processes are gone. Nothing outside of the home is read, wherever its links lead, and
    files that are no text are left out.
    """
    files: dict[str, str] = {}
    room = MAX_BYTES
    for number, path in enumerate(_paths(home, folders)):
        if number >= _MAX_ENTRIES or len(files) >= MAX_FILES:
            return None
        try:
            path.encode()  # names are bytes, and need not be text either
            content = read_file(home, path, room + 1)
            room -= len(content)
            if room < 0:
                return None
            files[path] = masker.text(content.decode())
        except (PathRefused, OSError, UnicodeError):
            continue
    if not files:
        return None
    return KeptSession(adapter=adapter, session_id=session_id, folder=str(folder), files=files)


def lay_session(kept: KeptSession, home: Path, folders: Sequence[str], *, folder: Path) -> None:
    """Write a conversation into another home, with the places that it names changed to those of this run's folder.

    Raises:
        PathRefused: a path that leads out of the home.
        OSError: it cannot be written.

    """
    here = str(folder)
    for path, text in kept.files.items():
        parts = PurePosixPath(path)
        if ".." not in parts.parts and any(parts.is_relative_to(each) for each in folders):
            place = path.replace(_as_name(kept.folder), _as_name(here))
            write_file(home, place, text.replace(kept.folder, here).encode())


def pack(kept: KeptSession) -> bytes | None:
    """Return a conversation as the content of a file; None if that would be too large, or its id is no text."""
    try:
        content = _Packed(
            adapter=kept.adapter, session_id=kept.session_id, folder=kept.folder, files=dict(kept.files)
        )
        text = content.model_dump_json().encode()
    except ValueError:
        return None
    packed = gzip.compress(text, compresslevel=5, mtime=0)
    return packed if len(text) <= _MAX_UNPACKED_BYTES and len(packed) <= MAX_PACKED_BYTES else None


def unpack(packed: bytes) -> KeptSession | None:
    """Return what `pack` was given; None for what is nothing of the kind."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = inflater.decompress(packed, _MAX_UNPACKED_BYTES)
        if not inflater.eof:
            return None
        found = _Packed.model_validate_json(content)
    except (zlib.error, ValidationError):
        return None
    return KeptSession(
        adapter=found.adapter, session_id=found.session_id, folder=found.folder, files=found.files
    )


class SessionKeeper:
    """The conversation of one run: the earlier one that it takes up, and what is kept of it for a later run."""

    def __init__(
        self, earlier: KeptSession | None, adapter: Adapter, *, home: Path, folder: Path, masker: Masker
    ) -> None:
        """Prepare for a home that is still empty; another agent's conversation is none that this one could take up."""
        self._earlier = earlier if earlier is not None and earlier.adapter == adapter.name else None
        self._adapter = adapter
        self._home = home
        self._folder = folder
        self._masker = masker
        # By which the agent could take up the conversation of this run; "": it cannot.
        self.session_id = ""

    @property
    def earlier_id(self) -> str | None:
        """The agent's own id of the conversation that it is to take up."""
        return self._earlier.session_id if self._earlier else None

    def forget_earlier(self) -> None:
        """Do without the earlier conversation."""
        self._earlier = None

    def lay(self) -> None:
        """Write the earlier conversation into the home; it is done without if that fails."""
        if self._earlier is None:
            return
        try:
            lay_session(self._earlier, self._home, self._adapter.sessions, folder=self._folder)
        except (PathRefused, OSError) as error:
            _LOGGER.warning("run.session_not_laid", reason=repr(error))
            self._earlier = None

    def keep(self, file: Path) -> None:
        """Pack the conversation into a file, if there is one that can be taken up. Call it after the agent's end."""
        if not self.session_id or not self._adapter.sessions:
            return
        kept = keep_session(
            self._home,
            self._adapter.sessions,
            adapter=self._adapter.name,
            session_id=self.session_id,
            folder=self._folder,
            masker=self._masker,
        )
        packed = None if kept is None else pack(kept)
        if packed is None:
            _LOGGER.info("run.session_not_kept")
            return
        try:
            file.write_bytes(packed)
        except OSError as error:
            _LOGGER.warning("run.session_not_kept", error=repr(error))


def _paths(home: Path, folders: Sequence[str]) -> Iterator[str]:
    """Yield all that lies below some folders of a home, as paths below the home."""
    base = home.resolve()
    for folder in folders:
        top = base / folder
        if base not in top.resolve().parents:
            continue
        for parent, below, names in os.walk(top):
            below.sort()
            yield from (str((Path(parent) / name).relative_to(base)) for name in sorted(names))


def _as_name(path: str) -> str:
    return _NOT_IN_A_NAME.sub("-", path)
