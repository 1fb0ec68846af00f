"""Read a patch of git file by file, from chunks of bytes, in bounded memory.

A patch comes from an agent, or from any client that can add a file to the run: it may be anything. What is no patch has no
files, and nothing in it is an error. Libraries hold each line as an object and refuse patches that were cut.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# Of one file; more is counted and left out.
SHOWN_BYTES = 256 * 1024

_FILE = b"diff --git "
# As `app.agents.git.repository` ends a patch that is too long.
_CUT = b"# The patch was cut here: "
_LONGEST_LINE = 64 * 1024
_LONGEST_PATH = 4096
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_CHARACTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(slots=True)
class PatchedFile:
    """One file of a patch."""

    # Of its first byte in the patch.
    offset: int
    names: tuple[str, str]
    status: str = "M"
    additions: int = 0
    deletions: int = 0
    is_binary: bool = False
    is_truncated: bool = False
    _lines: list[bytes] = field(default_factory=list)
    _size: int = 0
    _is_in_hunk: bool = False

    @property
    def text(self) -> str | None:
        """The file's part of the patch, None where it is binary."""
        return None if self.is_binary else b"".join(self._lines).decode(errors="replace")

    def take(self, line: bytes, *, begins: bool) -> None:
        """Take a line with its end, or a piece of a long one; `begins` says whether it is the first piece."""
        if begins:
            if line.startswith(_CUT):
                self.is_truncated = True
                return
            if self._is_in_hunk:
                self.additions += line.startswith(b"+")
                self.deletions += line.startswith(b"-")
            else:
                self._take_header(line.rstrip(b"\r\n"))
        if self.is_binary or self._size + len(line) > SHOWN_BYTES:
            # Later lines that would fit are left out too.
            self._size = SHOWN_BYTES
            self.is_truncated |= not self.is_binary
            return
        self._size += len(line)
        self._lines.append(line)

    def _take_header(self, line: bytes) -> None:
        old, new = self.names
        word, _, rest = line.partition(b" ")
        match word, rest:
            case b"@@", _:
                self._is_in_hunk = True
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
                self.is_binary = True
                self._lines.clear()
            case _:
                pass


class PatchReader:
    """Takes a patch in chunks, and returns the files that are complete."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._rest = b""
        self._begins = True
        self._file: PatchedFile | None = None

    def feed(self, chunk: bytes) -> Iterator[PatchedFile]:
        """Yield the files that end in a chunk."""
        data, self._rest = self._rest + chunk, b""
        for line in _split(data):
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                self._rest = line
                return
            yield from self._take(line)

    def finish(self) -> Iterator[PatchedFile]:
        """Yield the last file."""
        if self._rest:
            yield from self._take(self._rest)
        if self._file is not None:
            yield self._file

    def _take(self, line: bytes) -> Iterator[PatchedFile]:
        if self._begins and line.startswith(_FILE):
            if self._file is not None:
                yield self._file
            self._file = PatchedFile(self._offset, _names(line.removeprefix(_FILE).rstrip(b"\r\n")))
        if self._file is not None:
            self._file.take(line, begins=self._begins)
        self._offset += len(line)
        self._begins = line.endswith(b"\n")


def _split(data: bytes) -> list[bytes]:
    """Return the lines of data with their ends; by line feeds alone, as git does."""
    *lines, rest = data.split(b"\n")
    return [*(line + b"\n" for line in lines), *([rest] if rest else [])]


def _names(line: bytes) -> tuple[str, str]:
    """Return both names of a `diff --git` line; later lines correct them where they differ."""
    if line.startswith(b'"'):
        end = re.match(rb'"(?:[^"\\]|\\.)*"', line)
        old = end[0] if end else line
        return _path(old, prefix=b"a/"), _path(line[len(old) + 1 :], prefix=b"b/")
    # Of two equal names with a blank between: names may contain blanks.
    half = len(line) // 2
    return _path(line[:half], prefix=b"a/"), _path(line[half + 1 :], prefix=b"b/")


def _path(name: bytes, *, prefix: bytes = b"") -> str:
    """Return the path that a name stands for; git quotes those with odd characters, and ends some with a tab."""
    name = name.removesuffix(b"\t")
    if name.startswith(b'"') and name.endswith(b'"') and len(name) > 1:
        name = _ESCAPE.sub(_unescaped, name[1:-1])
    return name.removeprefix(prefix)[:_LONGEST_PATH].decode(errors="replace")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code[:1].isdigit():
        return bytes([int(code, 8) & 0xFF])
    return _CHARACTERS.get(code, code)
