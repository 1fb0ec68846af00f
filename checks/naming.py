"""Check that the names of tests say a behaviour: `python -m checks.naming PATH...`.

A name of fewer words than `MIN_WORDS` says at most what is tested, so that a line about its failure means
nothing. Prints one line for each finding and ends with status 1 if there is any.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MIN_WORDS: Final = 4
_PREFIX: Final = "test_"


def find_short_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and name of each test function with a name of too few words."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        name = node.name
        if name.startswith(_PREFIX) and len(name.removeprefix(_PREFIX).split("_")) < MIN_WORDS:
            yield node.lineno, name


def main(paths: list[str]) -> int:
    """Print each test with a name of too few words in `paths`; return 1 if there is any, else 0."""
    findings = [
        (file, number, name)
        for path in paths
        for file in sorted(Path(path).rglob("test_*.py"))
        for number, name in find_short_names(file.read_text(encoding="utf-8"))
    ]
    for file, number, name in findings:
        print(f"{file}:{number}: {name} must say a behaviour, in {MIN_WORDS} words or more", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
