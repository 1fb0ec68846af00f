"""Check the size and shape of folders, files and functions: `python -m checks.structure`.

Folders are those of `app` and of `tests`, all else is of `app`. Prints one line for each finding and
ends with status 1 if there is any. The order of packages and the absence of import circles are held by
import-linter (pyproject.toml).
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

APP: Final = Path(__file__).parents[1] / "app"
TESTS: Final = Path(__file__).parents[1] / "tests"

MAX_MODULES: Final = 17
MAX_FILE_LINES: Final = 400
MAX_SERVICE_PARAMETERS: Final = 6
MAX_AGENT_PARAMETERS: Final = 7
MAX_ROUTER_LINES: Final = 12
MAX_FUNCTION_LINES: Final = 50
MAX_FIELDS: Final = 10
MAX_SHARED_PREFIX: Final = 3
# A noun has the same file name in each of these, and a job is named for what it does.
FLAT: Final = frozenset({"models", "schemas", "routers", "jobs"})

# Files, classes and functions that may exceed a limit, with the reason. At most five.
EXCEPTIONS: Final[dict[str, str]] = {
    "app/runtime.py:ProcessContext": "has one field for each resource of a process; functions take the parts they use",
    "app/web/pages/question.py:Page": "has one field for each place in the template page.html",
}
MAX_EXCEPTIONS: Final = 5


def main() -> int:
    """Print each folder, file, function and dataclass that exceeds a limit; return 1 if any does, else 0."""
    findings = [(where, what) for check in (folders, files, functions, specs) for where, what in check()]
    excused = {where for where, _ in findings if where in EXCEPTIONS}
    findings = [(where, what) for where, what in findings if where not in EXCEPTIONS]
    findings += [(where, "is an exception that nothing needs") for where in EXCEPTIONS.keys() - excused]
    if len(EXCEPTIONS) > MAX_EXCEPTIONS:
        findings.append(("EXCEPTIONS", f"has {len(EXCEPTIONS)} entries; {MAX_EXCEPTIONS} are allowed"))
    for where, what in findings:
        print(f"{where}: {what}", file=sys.stderr)
    return 1 if findings else 0


def folders() -> Iterator[tuple[str, str]]:
    """Yield folders with too many modules, and module names that repeat their folder's or neighbours' names."""
    for package in sorted(path.parent for top in (APP, TESTS) for path in top.rglob("__init__.py")):
        modules = sorted(path for path in package.glob("*.py") if path.stem != "__init__")
        names = [path.stem.removeprefix("test_") for path in modules]
        if package not in {APP, TESTS} and len(names) > MAX_MODULES:
            yield _name(package), f"has {len(names)} modules; {MAX_MODULES} are allowed"
        noun = package.name.removesuffix("s")
        yield from (
            (_name(path), f"repeats the name of its folder {package.name!r}")
            for path, name in zip(modules, names, strict=True)
            if name.startswith((f"{noun}_", f"{package.name}_"))
        )
        prefixes = Counter(
            name.split("_")[0] for name in names if package not in {APP, TESTS} and package.name not in FLAT
        )
        yield from (
            (_name(package), f"has {number} modules that begin with {prefix!r}: make it a folder")
            for prefix, number in prefixes.items()
            if number > MAX_SHARED_PREFIX
        )


def files() -> Iterator[tuple[str, str]]:
    """Yield the Python files of `app` that have too many lines."""
    for path in _modules(APP):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield _name(path), f"has {lines} lines; {MAX_FILE_LINES} are allowed"


def functions() -> Iterator[tuple[str, str]]:
    """Yield functions of services and agents with too many parameters, and all with too many lines."""
    for folder, allowed in (("services", MAX_SERVICE_PARAMETERS), ("agents", MAX_AGENT_PARAMETERS)):
        for path in _modules(APP / folder):
            for function in _functions(path):
                number = _parameters(function)
                if not function.name.startswith("_") and number > allowed:
                    yield (
                        f"{_name(path)}:{function.name}",
                        f"takes {number} parameters; {allowed} are allowed",
                    )
    for path in _modules(APP):
        limit = MAX_ROUTER_LINES if path.is_relative_to(APP / "routers") else MAX_FUNCTION_LINES
        for function in _functions(path):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > limit:
                yield f"{_name(path)}:{function.name}", f"has {lines} lines; {limit} are allowed"


def specs() -> Iterator[tuple[str, str]]:
    """Yield dataclasses with too many fields, inherited fields included."""
    found = [(path, node) for path in _modules(APP) for node in _dataclasses(path)]
    by_name = {node.name: node for _, node in found}

    def count(node: ast.ClassDef) -> int:
        bases = [by_name[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in by_name]
        return sum(isinstance(item, ast.AnnAssign) for item in node.body) + sum(map(count, bases))

    for path, node in found:
        if (fields := count(node)) > MAX_FIELDS:
            yield f"{_name(path)}:{node.name}", f"has {fields} fields; {MAX_FIELDS} are allowed"


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _dataclasses(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and any(
            "dataclass" in ast.dump(decorator) for decorator in node.decorator_list
        ):
            yield node


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of named parameters, without `self` and `cls`."""
    named = [
        each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    ]
    return len(named) - (named[:1] in (["self"], ["cls"]))


def _name(path: Path) -> str:
    return path.relative_to(APP.parent).as_posix()


if __name__ == "__main__":
    sys.exit(main())
