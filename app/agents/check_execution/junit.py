"""Reads JUnit reports. reports.py starts it as a program in the sandbox, since reports are untrusted.

It reads `[folder, globs]` from standard input, and prints one line of JSON: the number of reports, and the cases of
each suite as `[class, name, outcome]`. With a fault of the reports on standard error it ends with status 1. With the
argument `--delete` it deletes the reports instead.
"""

import json
import os
import resource
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.parsers import expat

from app.enums import CaseOutcome
from app.verdicts.globs import matches

MEMORY_BYTES: Final = 200 * 2**20
_REPORT_BYTES: Final = 20 * 2**20
_MOST_CASES: Final = 100_000
_NAME_CHARACTERS: Final = 500
_DEPTH: Final = 1000
# The encodings that expat reads itself. For others a report could choose any codec of Python.
_ENCODINGS: Final = frozenset({"UTF-8", "UTF-16", "ISO-8859-1", "US-ASCII"})
_CHILDREN: Final = {
    "failure": CaseOutcome.FAILED,
    "error": CaseOutcome.FAILED,
    "skipped": CaseOutcome.SKIPPED,
}
# The worst outcome has the first rank.
_RANKS: Final = {outcome: rank for rank, outcome in enumerate(CaseOutcome)}

# The outcomes of cases, by suite, then by class and name.
Suites = dict[str, dict[tuple[str, str], CaseOutcome]]


class ReportInvalid(Exception):
    """A report cannot be read; the message says why."""


def read_reports(folder: Path, globs: Sequence[str]) -> tuple[int, Suites]:
    """Return the number of reports in an untrusted folder, and their cases. Raises ReportInvalid."""
    reader = _Reader()
    room = _REPORT_BYTES
    paths = sorted(find_files(folder, globs))
    for path in paths:
        try:
            content = _read(folder / path, room)
            room -= len(content)
            reader.read(content)
        except (ReportInvalid, OSError, expat.ExpatError) as error:
            raise ReportInvalid(f"{path[:_NAME_CHARACTERS]}: {error}") from None
    return len(paths), reader.suites


def find_files(folder: Path, globs: Sequence[str]) -> set[str]:
    """Return the paths below a folder that match a glob and are no folders. Links to folders are not followed."""
    found = set()
    for glob in globs:
        fixed, wildcard, _ = glob.partition("*")
        if not wildcard:
            found |= {glob} if (folder / glob).is_file() else set()
            continue
        for place, _, names in os.walk(folder / fixed.rpartition("/")[0]):
            here = Path(os.path.relpath(place, folder)).as_posix()
            paths = names if here == "." else [f"{here}/{name}" for name in names]
            found |= {path for path in paths if matches([glob], path)}
    return found


def _read(path: Path, room: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ReportInvalid("not a regular file")
        content = file.read(room + 1)
    if len(content) > room:
        raise ReportInvalid(f"over {_REPORT_BYTES} bytes")
    return content


class _Reader:
    def __init__(self) -> None:
        self.suites: Suites = {}
        self._number = 0

    def read(self, content: bytes) -> None:
        self._open: list[str] = []
        self._suites = [""]
        self._cases: list[tuple[str, str]] = []
        self._outcomes: list[CaseOutcome] = []
        parser = expat.ParserCreate()
        parser.XmlDeclHandler = _check_encoding
        parser.StartDoctypeDeclHandler = _refuse_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        # In one piece: expat 2.5 parses a long tag from its beginning again for each piece.
        parser.Parse(content, True)  # noqa: FBT003 - the parser takes no keywords

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else ""
        self._open.append(element)
        if len(self._open) > _DEPTH:
            raise ReportInvalid("nested too deeply")
        if element == "testsuite":
            self._suites.append(attributes.get("name", "")[:_NAME_CHARACTERS])
        elif element == "testcase":
            self._number += 1
            if self._number > _MOST_CASES:
                raise ReportInvalid(f"over {_MOST_CASES} cases")
            names = (attributes.get(key, "")[:_NAME_CHARACTERS] for key in ("classname", "name"))
            self._cases.append((next(names), next(names)))
            self._outcomes.append(CaseOutcome.PASSED)
        elif parent == "testcase" and element in _CHILDREN and self._outcomes[-1] is not CaseOutcome.FAILED:
            self._outcomes[-1] = _CHILDREN[element]

    def _end(self, element: str) -> None:
        self._open.pop()
        if element == "testsuite":
            self._suites.pop()
        elif element == "testcase":
            cases = self.suites.setdefault(self._suites[-1], {})
            case, outcome = self._cases.pop(), self._outcomes.pop()
            cases[case] = min(outcome, cases.get(case, outcome), key=_RANKS.__getitem__)


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.upper() not in _ENCODINGS:
        raise ReportInvalid("an encoding that is not read")


def _refuse_type(*_: object) -> None:
    raise ReportInvalid("it has a document type")


def _main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MEMORY_BYTES if most == resource.RLIM_INFINITY else min(MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    folder, globs = json.load(sys.stdin)
    try:
        if sys.argv[1:] == ["--delete"]:
            for path in find_files(Path(folder), globs):
                (Path(folder) / path).unlink(missing_ok=True)
            return
        number, suites = read_reports(Path(folder), globs)
        sys.stdout.buffer.write(b"%d\n" % number)
        for suite, cases in suites.items():
            shown = [suite, [(*case, outcome) for case, outcome in cases.items()]]
            sys.stdout.buffer.write(json.dumps(shown, ensure_ascii=False).encode() + b"\n")
    except (ReportInvalid, OSError) as error:
        sys.exit(str(error))
    except MemoryError:
        sys.exit("the reports need too much memory")


if __name__ == "__main__":
    _main()
