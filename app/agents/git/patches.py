"""Split a git patch into its files, from chunks of bytes, in bounded memory.

A patch comes from an agent, or from any client that can add a file to the run, so it may contain anything. Text that is
not a patch yields no files, and malformed text raises no error. No library is used: libraries hold each line as an
object, and refuse patches that were cut.
"""

import re
import zlib
from base64 import b85decode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from app.schemas.runs.diff import ChangeTotals

# The most bytes of a file's diff that are shown. The lines after them are counted.
SHOWN_BYTES = 256 * 1024

_FILE = b"diff --git "
# The last line that run_repository.py adds to a patch that was too long.
_CUT = b"# The patch was cut here: "
_LONGEST_LINE = 64 * 1024
_LONGEST_PATH = 4096
# The most lines of a file before its first hunk; git writes at most a dozen.
_MOST_HEADERS = 50
# The `index` line, which names a file's blobs, is among this many first lines.
_MOST_MODES = 8
_OLD_BLOB = re.compile(rb"^index (?!0+\.)([0-9a-f]{40,64})\.\.", re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
# The head of a binary patch, or of its reverse: the kind, the size, and the first line of the data.
_BLOB = re.compile(rb"^(?:literal|delta) \d{1,18}\n(?:\S+\n)?", re.MULTILINE)
_CHARACTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(slots=True)
class PatchedFile:
    """One file of a git patch: its names, its status, its numbers of added and deleted lines, and its diff."""

    # The offset of its first byte in the patch.
    offset: int
    names: tuple[str, str]
    status: str = "M"
    additions: int = 0
    deletions: int = 0
    is_binary: bool = False
    is_truncated: bool = False
    # Whether its header has ended: the rest is parsed in chunks, not by line.
    is_in_body: bool = False
    _shown: list[bytes] = field(default_factory=list)
    _size: int = 0

    @property
    def text(self) -> str | None:
        """The diff of the file, perhaps truncated; None for a binary file."""
        return None if self.is_binary else b"".join(self._shown).decode(errors="replace")

    @property
    def old_blob(self) -> str | None:
        """The blob that a text file was; None for a new file, or if the patch does not say."""
        found = _OLD_BLOB.search(b"".join(self._shown[:_MOST_MODES]))
        return found and found[1].decode()

    @property
    def is_bare(self) -> bool:
        """Whether the patch has the size of a binary file, but not its content."""
        return self.is_binary and any(head.count(b"\n") == 1 for head in self._shown)

    @property
    def sizes(self) -> tuple[int | None, int | None]:
        """The bytes of a binary file before and after, where the patch has them."""
        heads = self._shown if self.is_binary else []
        (old, new), (new_again, old_again) = [*map(_sizes_of, heads), (None, None), (None, None)][:2]
        return (old_again if old is None else old), (new_again if new is None else new)

    def take_header(self, line: bytes, *, begins: bool) -> None:
        """Parse the next line, with its line ending, of the file's header: the lines before the first hunk."""
        if begins:
            self._take_header(line.rstrip(b"\r\n"))
        self._show(line)
        self.is_in_body |= len(self._shown) >= _MOST_HEADERS or self.is_truncated

    def take_body(self, part: bytes, *, begins: bool) -> None:
        """Parse the next part of the file's hunks. `begins` is True if the part starts at the beginning of a line."""
        if self.is_binary:
            heads = _BLOB.finditer(b"".join(self._shown) + part)
            self._shown = [head[0] for head in islice(heads, 2)]
            return
        # Each line then follows a line ending, the first one too.
        lines = b"\n" + part if begins else part
        cut = lines.find(b"\n" + _CUT)
        if cut >= 0:
            lines, self.is_truncated = lines[: cut + 1], True
        self.additions += lines.count(b"\n+")
        self.deletions += lines.count(b"\n-")
        self._show(lines[1:] if begins else lines)

    def _show(self, part: bytes) -> None:
        room = SHOWN_BYTES - self._size
        if len(part) > room:
            self.is_truncated = not self.is_binary
            part = part[: part.rfind(b"\n", 0, room) + 1]
            # Shorter lines that follow would fit, but the diff would have a gap.
            self._size = SHOWN_BYTES
        else:
            self._size += len(part)
        if part and not self.is_binary:
            self._shown.append(part)

    def _take_header(self, line: bytes) -> None:
        old, new = self.names
        word, _, rest = line.partition(b" ")
        match word, rest:
            case b"@@", _:
                self.is_in_body = True
            case b"new", _ if rest.startswith(b"file mode"):
                self.status = "A"
            case b"deleted", _ if rest.startswith(b"file mode"):
                self.status = "D"
            case b"rename", _ if rest.startswith(b"from "):
                self.status, self.names = "R", (_path(rest[5:]), new)
            case b"rename" | b"copy", _ if rest.startswith(b"to "):
                self.names = (old, _path(rest[3:]))
            case b"---", _ if rest != b"/dev/null":
                self.names = (_path(rest, prefix=b"a/"), new)
            case b"+++", _ if rest != b"/dev/null":
                self.names = (old, _path(rest, prefix=b"b/"))
            case (b"GIT", b"binary patch") | (b"Binary", _):
                self.is_binary = self.is_in_body = True
                self._shown.clear()
            case _:
                pass


class PatchReader:
    """A parser of a git patch that receives the patch in chunks of bytes and yields each file once it is complete."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._rest = b""
        self._begins = True
        self._file: PatchedFile | None = None

    def feed(self, chunk: bytes) -> Iterator[PatchedFile]:
        data = self._rest + chunk
        end = data.rfind(b"\n") + 1
        if len(data) - end >= _LONGEST_LINE:
            end = len(data)
        self._rest = data[end:]
        yield from self._take(data[:end])

    def finish(self) -> Iterator[PatchedFile]:
        """Parse the bytes that remain after the last chunk; yield the patch's last file, if the patch has any."""
        yield from self._take(self._rest)
        if self._file is not None:
            yield self._file

    def _take(self, data: bytes) -> Iterator[PatchedFile]:
        at = 0
        while at < len(data):
            begins, file = self._begins, self._file
            if begins and data.startswith(_FILE, at):
                if file is not None:
                    yield file
                end = _end_of_line(data, at)
                self._file = PatchedFile(self._offset, _names(data[at + len(_FILE) : end].rstrip(b"\r\n")))
                self._file.take_header(data[at:end], begins=True)
            elif file is not None and not file.is_in_body:
                end = _end_of_line(data, at)
                file.take_header(data[at:end], begins=begins)
            else:
                end = data.find(b"\n" + _FILE, at) + 1 or len(data)
                if file is not None:
                    file.take_body(data[at:end], begins=begins)
            self._offset += end - at
            self._begins = data[end - 1 : end] == b"\n"
            at = end


class PatchSummary(NamedTuple):
    """The totals of a whole patch, the old blobs of its files by their old paths, and which files are binary."""

    totals: ChangeTotals
    old_blobs: Mapping[str, str]
    binaries: Collection[str]


def summarise(patch: bytes) -> PatchSummary:
    reader = PatchReader()
    files = [*reader.feed(patch), *reader.finish()]
    totals: ChangeTotals = {
        "files": len(files),
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
    }
    old_blobs = {file.names[0]: file.old_blob for file in files if file.old_blob}
    return PatchSummary(totals, old_blobs, {file.names[1] for file in files if file.is_binary})


def _sizes_of(head: bytes) -> tuple[int | None, int | None]:
    size, data = head.removeprefix(b"literal ").split(b"\n")[:2]
    if not head.startswith(b"delta"):
        return None, int(size)
    try:
        numbers = iter(zlib.decompressobj().decompress(b85decode(data[1:]), 20))
    except (ValueError, zlib.error):
        return None, None
    return _read_size(numbers), _read_size(numbers)


def _read_size(data: Iterator[int]) -> int | None:
    size = 0
    # A variable-length integer: seven bits in each byte, the lowest first.
    for place, byte in enumerate(data):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return size
    return None


def _end_of_line(data: bytes, at: int) -> int:
    return data.find(b"\n", at) + 1 or len(data)


def _names(line: bytes) -> tuple[str, str]:
    if line.startswith(b'"'):
        end = re.match(rb'"(?:[^"\\]|\\.)*"', line)
        old = end[0] if end else line
        return _path(old, prefix=b"a/"), _path(line[len(old) + 1 :], prefix=b"b/")
    # The line is a name, a blank and the same name, which may contain blanks itself.
    half = len(line) // 2
    return _path(line[:half], prefix=b"a/"), _path(line[half + 1 :], prefix=b"b/")


def _path(name: bytes, *, prefix: bytes = b"") -> str:
    name = name.removesuffix(b"\t")
    if name.startswith(b'"') and name.endswith(b'"') and len(name) > 1:
        name = _ESCAPE.sub(_unescape, name[1:-1])
    return name.removeprefix(prefix)[:_LONGEST_PATH].decode(errors="replace")


def _unescape(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code[:1].isdigit():
        return bytes([int(code, 8) & 0xFF])
    return _CHARACTERS.get(code, code)
