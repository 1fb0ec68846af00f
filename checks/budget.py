"""Check the size of the whole against `[tool.taskbeacon.budget]` of pyproject.toml: `python -m checks.budget`.

Counts physical lines of files that git knows. Prints each figure beside its budget and ends with status 1 if one is
over it, or if a generated file is large.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

MAX_FILE_LINES: Final = 1500
# The type, for which `object`, a JSON alias or a real one can often stand.
_ANY: Final = re.compile(r"\bAny\b")
_GENERATED: Final = "client/taskbeacon/client/types.py"
# What may have more: locks, which package managers write and read.
_LOCKS: Final = (".lock", "package-lock.json")


def main(root: Path = ROOT) -> int:
    """Print the figures and the files that are too large; return 1 if there is anything over its limit, else 0."""
    files = read_files(root)
    budget = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["taskbeacon"][
        "budget"
    ]
    figures = count(files)
    for name, figure in figures.items():
        print(f"{name}: {figure:,} of {budget[name]:,}")
    large = find_large(files)
    for file, lines in large.items():
        print(f"{file}: has {lines} lines; {MAX_FILE_LINES} are allowed", file=sys.stderr)
    return 1 if large or any(figure > budget[name] for name, figure in figures.items()) else 0


def read_files(root: Path) -> dict[str, str]:
    """Return the text of each file that git knows, by its path."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return {
        name: (root / name).read_text(encoding="utf-8", errors="replace")
        for name in names
        if name and (root / name).is_file()
    }


def count(files: dict[str, str]) -> dict[str, int]:
    """Return the figures that have a budget, by their names there."""
    app = [text for name, text in files.items() if name.startswith("app/") and name.endswith(".py")]
    console = [text for name, text in files.items() if name.startswith("console/src/")]
    client = [
        text
        for name, text in files.items()
        if name.startswith("client/") and name.endswith(".py") and name != _GENERATED
    ]
    return {
        "app_lines": sum(map(_lines, app)),
        "app_function_docstring_lines": sum(map(_docstring_lines, app)),
        "app_any_lines": sum(map(_any_lines, app)),
        "console_source_lines": sum(map(_lines, console)),
        "client_lines": sum(map(_lines, client)),
    }


def find_large(files: dict[str, str]) -> dict[str, int]:
    """Return the files with too many lines, locks apart, with their number of lines."""
    lines = {name: _lines(text) for name, text in files.items() if not name.endswith(_LOCKS)}
    return {name: number for name, number in lines.items() if number > MAX_FILE_LINES}


def _lines(text: str) -> int:
    return text.count("\n")


def _docstring_lines(source: str) -> int:
    return sum(
        (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None
    )


def _any_lines(source: str) -> int:
    return sum(_ANY.search(line) is not None for line in source.splitlines())


if __name__ == "__main__":
    sys.exit(main())
