"""Keeps the files of an agent's conversation, so that the agent of a later run can resume it.

They are untrusted, masked text: written only into the home of an agent of the same task, below the same folders.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated

import structlog
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from app.agents.adapters.adapter import Adapter
from app.agents.errors import PathRefused
from app.agents.files.safe_paths import read_file, write_file
from app.agents.masking import Masker

# The limits of a session. A larger one is not kept at all: half a conversation is useless.
MAX_BYTES = 32 * 2**20
MAX_FILES = 500
_MAX_ENTRIES = 20_000
MAX_PACKED_BYTES = 16 * 2**20
# Escapes make the JSON longer than the text.
_MAX_UNPACKED_BYTES = 2 * MAX_BYTES
# Characters that agents replace when they name a file after a path.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """The files of an agent's conversation, stored after a run so that the agent of a later run can resume it."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    adapter: Annotated[str, Field(min_length=1, max_length=40)]
    session_id: Annotated[str, Field(min_length=1, max_length=1000)]  # the agent's id of it
    folder: Annotated[str, Field(min_length=1, max_length=4096)]  # of its run; the files have paths in it
    # By path in the home.
    files: Annotated[dict[str, str], Field(max_length=MAX_FILES)] = field(repr=False)
    cost: float = 0.0  # the agent's own sum


_KEPT_SESSION = TypeAdapter(KeptSession)


def pack(kept: KeptSession) -> bytes | None:
    """Return a conversation as compressed JSON; None if it is too large or cannot be encoded."""
    try:
        # `exclude_defaults` leaves out a cost of 0: the previous release does not know this field.
        text = _KEPT_SESSION.dump_json(_KEPT_SESSION.validate_python(asdict(kept)), exclude_defaults=True)
    except ValueError:
        return None
    packed = gzip.compress(text, compresslevel=5, mtime=0)
    return packed if len(text) <= _MAX_UNPACKED_BYTES and len(packed) <= MAX_PACKED_BYTES else None


def unpack(packed: bytes) -> KeptSession | None:
    """Return the conversation that `pack` has encoded; None if the content is damaged or not from `pack`."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = inflater.decompress(packed, _MAX_UNPACKED_BYTES)
        if not inflater.eof:
            return None
        return _KEPT_SESSION.validate_json(content)
    except (zlib.error, ValidationError):
        return None


class SessionKeeper:
    """Restores an earlier run's conversation in the agent's home, and saves this run's conversation for a later run."""

    def __init__(
        self, earlier: KeptSession | None, adapter: Adapter, *, home: Path, folder: Path, masker: Masker
    ) -> None:
        self._earlier = earlier if earlier is not None and earlier.adapter == adapter.name else None
        self._adapter = adapter
        self._home = home
        self._folder = folder
        self._masker = masker
        self._session_id, self._cost = "", 0.0
        self.earlier_cost = earlier.cost if earlier else 0.0

    @property
    def earlier_id(self) -> str | None:
        """The agent's id of the earlier conversation that this run resumes; None if it starts a new conversation."""
        return self._earlier.session_id if self._earlier else None

    def forget_earlier(self) -> None:
        self._earlier = None

    def restore(self) -> None:
        """Write the earlier conversation, if any, into the agent's home; if that fails, a new one starts."""
        if self._earlier is None:
            return
        there, here = self._earlier.folder, str(self._folder)
        try:
            for path, text in self._earlier.files.items():
                parts, folders = PurePosixPath(path), self._adapter.sessions
                if ".." not in parts.parts and any(parts.is_relative_to(each) for each in folders):
                    place = path.replace(_as_name(there), _as_name(here))
                    write_file(self._home, place, text.replace(there, here).encode())
        except (PathRefused, OSError) as error:
            log.warning("run.session_not_restored", reason=repr(error))
            self._earlier = None

    def note_conversation(self, session_id: str, cost: float) -> None:
        """Note the id of this run's conversation, "" if the agent cannot resume it, and the agent's sum of its cost."""
        self._session_id, self._cost = session_id, cost

    def keep(self, file: Path) -> None:
        """Write the conversation of the ended agent to `file`, if it can be resumed; a failure is logged."""
        if not self._session_id or not self._adapter.sessions:
            return
        packed = None
        if files := self._read_files():
            kept = KeptSession(
                adapter=self._adapter.name,
                session_id=self._session_id,
                folder=str(self._folder),
                files=files,
                cost=self._cost,
            )
            packed = pack(kept)
        if packed is None:
            log.info("run.session_not_kept")
            return
        try:
            file.write_bytes(packed)
        except OSError as error:
            log.warning("run.session_not_kept", error=repr(error))

    def _read_files(self) -> dict[str, str]:
        # No file if all together are too many or too large.
        files: dict[str, str] = {}
        room = MAX_BYTES
        for number, path in enumerate(_paths(self._home, self._adapter.sessions)):
            if number >= _MAX_ENTRIES or len(files) >= MAX_FILES:
                return {}
            try:
                path.encode()  # raises UnicodeError for a name that is no text
                content = read_file(self._home, path, room + 1)
                room -= len(content)
                if room < 0:
                    return {}
                files[path] = self._masker.text(content.decode())
            except (PathRefused, OSError, UnicodeError):
                continue
        return files


def _paths(home: Path, folders: Sequence[str]) -> Iterator[str]:
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
