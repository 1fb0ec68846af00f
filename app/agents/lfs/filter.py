"""The filter `lfs` of an agent's clone; as a program, `python -m app.agents.lfs.filter OWN [LENT…]`.

Git starts it once for each command that needs it and speaks the protocol of long-running filters (gitattributes, "Long
Running Filter Process"). What is added to the index becomes a pointer, and an object in the folder OWN; what is checked
out gets its content from there, or from the folders LENT, which are only read. It knows no network: a pointer to an
object that is in none of them stays as it is, and git's user is told.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from errno import EACCES, EPERM, EROFS
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from app.agents.lfs.objects import LONGEST_POINTER, Draft, ObjectFolder, Pointer

__all__ = ["serve"]

_HEAD = 4
_MOST_IN_A_PACKET = 65516
_READ_ONLY = (EROFS, EACCES, EPERM)


def serve(source: BinaryIO, sink: BinaryIO, folders: Sequence[ObjectFolder]) -> None:
    """Serve git until it has no more files; `folders` begins with the one that takes objects."""
    list(_packets(source))
    _send(sink, b"git-filter-server\n", b"version=2\n")
    list(_packets(source))
    _send(sink, b"capability=clean\n", b"capability=smudge\n")
    while request := [packet.rstrip(b"\n").partition(b"=") for packet in _packets(source)]:
        values = {key: value for key, _, value in request}
        content = _packets(source)
        with ExitStack() as stack:
            try:
                answer = stack.enter_context(_filtered(values, content, folders))
            except OSError as error:
                for _ in content:  # git listens only when it has said everything
                    pass
                _tell(values, error.strerror or type(error).__name__)
                _send(sink, b"status=error\n")
                continue
            _send(sink, b"status=success\n")
            while block := answer.read(_MOST_IN_A_PACKET):
                _write(sink, block)
            _send(sink)
            _send(sink)  # no news of the status


@contextmanager
def _filtered(
    values: Mapping[bytes, bytes], content: Iterator[bytes], folders: Sequence[ObjectFolder]
) -> Iterator[BinaryIO]:
    """Yield what git gets in place of a file's content."""
    with _draft(folders[0]) as draft, ExitStack() as stack:
        for block in content:
            draft.write(block)
        pointer = _pointer_in(draft)
        answer: BinaryIO = draft.file
        if values[b"command"] == b"clean":
            if pointer is None and draft.size:
                if _find(folders, draft.pointer) is None:
                    draft.keep()
                answer = BytesIO(draft.pointer.text())
        elif pointer is not None:
            if (path := _find(folders, pointer)) is not None:
                answer = stack.enter_context(path.open("rb"))
            else:
                _tell(values, "the content of this commit's file is not here; it stays a pointer")
        answer.seek(0)
        yield answer


@contextmanager
def _draft(folder: ObjectFolder) -> Iterator[Draft]:
    with ExitStack() as stack:
        try:
            draft = stack.enter_context(folder.draft())
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            from tempfile import TemporaryFile  # noqa: PLC0415 - takes as long to load as all the rest

            # An agent that may only look asks for differences, and needs no object for that.
            draft = Draft(stack.enter_context(TemporaryFile()))
        yield draft


def _pointer_in(draft: Draft) -> Pointer | None:
    if draft.size > LONGEST_POINTER:
        return None
    draft.file.seek(0)
    return Pointer.parse(draft.file.read())


def _find(folders: Sequence[ObjectFolder], pointer: Pointer) -> Path | None:
    return next((path for folder in folders if (path := folder.find(pointer)) is not None), None)


def _packets(source: BinaryIO) -> Iterator[bytes]:
    """Yield what the packets of a list hold, to its end or to that of the stream."""
    while head := source.read(_HEAD):
        size = int(head, 16)
        if size == 0:
            return
        yield source.read(size - _HEAD)


def _send(sink: BinaryIO, *lines: bytes) -> None:
    """Write a list of packets, and its end."""
    for line in lines:
        _write(sink, line)
    sink.write(b"0000")
    sink.flush()


def _write(sink: BinaryIO, content: bytes) -> None:
    sink.write(b"%04x" % (len(content) + _HEAD) + content)


def _tell(values: Mapping[bytes, bytes], what: str) -> None:
    sys.stderr.write(f"lfs: {values.get(b'pathname', b'').decode(errors='replace')}: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, [ObjectFolder(Path(path)) for path in sys.argv[1:]])
