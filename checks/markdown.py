"""Check that lines of prose in Markdown are short: `python -m checks.markdown PATH...`.

Tables, code blocks, headings, tags and lines without a space to break at are left alone, and so is the
contract, which is kept as it was agreed. Prints one line for each finding and ends with status 1 if there is
any.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_CHARACTERS: Final = 128
_SKIPPED: Final = frozenset({"contract.md"})
_FENCE: Final = re.compile(r" *(?:```|~~~)")
_WHOLE: Final = re.compile(r"\||#| *<")


def find_long_lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield line number and length of each line of prose in a Markdown text that is too long."""
    in_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if _FENCE.match(line):
            in_code = not in_code
        elif not in_code and len(line) > MAX_CHARACTERS and not _WHOLE.match(line) and " " in line.strip():
            yield number, len(line)


def main(paths: list[str]) -> int:
    """Print each line of prose in Markdown below `paths` that is too long; return 1 if there is any, else 0."""
    files = [
        file
        for path in map(Path, paths)
        for file in (sorted(path.rglob("*.md")) if path.is_dir() else [path])
    ]
    findings = [
        (file, number, length)
        for file in files
        if file.name not in _SKIPPED
        for number, length in find_long_lines(file.read_text(encoding="utf-8"))
    ]
    for file, number, length in findings:
        print(f"{file}:{number}: has {length} characters; {MAX_CHARACTERS} are allowed", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
