"""Check the size and shape of folders, files and functions: `python -m checks.structure`.

Folders are those of `app` and of `tests`, all else is of `app`. Prints one line for each finding and
ends with status 1 if there is any. The order of packages and the absence of import circles are held by
import-linter (pyproject.toml), the size of the whole by checks/budget.py.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

MAX_MODULES: Final = 17
MAX_FILE_LINES: Final = 600
MIN_LINES_OF_ONE_USER: Final = 100
MAX_SERVICE_PARAMETERS: Final = 6
MAX_AGENT_PARAMETERS: Final = 7
MAX_ROUTER_LINES: Final = 12
MAX_FUNCTION_LINES: Final = 50
MAX_FIELDS: Final = 10
_DECIDING: Final = (ast.If, ast.IfExp, ast.Try, ast.Match, ast.With, ast.AsyncWith, ast.Assert, ast.Raise)
METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

# Folders with small modules that one module imports, which lists them, with the reason.
LISTED: Final[dict[str, tuple[str, str]]] = {
    "app/routers": ("app.main", "a file for each resource of the API"),
    "app/models": ("app.models", "a file for each noun"),
    "app/enums": ("app.enums", "a file for each noun"),
    "app/worker/jobs": ("app.worker.job_table", "a file for each kind of job"),
    "app/worker/loops": ("app.worker.main", "a file for each loop"),
    "app/devstack/servers": ("app.devstack.servers.embedded_servers", "a file for each server"),
}
# Folders in which a module is found by its name alone; the others share the nouns of the API.
ROOMS: Final = ("app/agents", "app/clients", "app/services", "app/verdicts", "app/worker")
NOUNS: Final = "app/services/views"
# Files, classes and functions that may exceed a limit, with the reason.
EXCEPTIONS: Final[dict[str, str]] = {
    "app/runtime.py:ProcessContext": "has one field for each resource of a process; functions take the parts they use",
    "app/agents/run_result.py:RunResult": "has one field for each part of what a run brings; each reader takes a few",
    "app/services/access/stream_watch.py": "asks who may read; the process context that uses it only holds it",
    "app/services/accounts/secret_rotation.py": "reads every encrypted column; the command that uses it has no SQL",
    "app/services/tasks/count_folding.py": "has the SQL of a job; jobs have none",
    "app/services/notifications/push_trial.py": "has the SQL of a route; routes have none",
    "app/services/notifications/notification_preferences.py": "has the SQL of routes; routes have none",
    "app/services/notifications/rules/quiet_hours.py": "holds the arithmetic of time zones, to be found by its name",
    "app/agents/tools/report_result.py": "is one tool of an agent; the protocol that uses it is no tool",
    "app/agents/check_execution/reports.py": "starts a program in the sandbox; the module beside it is that program",
    "app/services/health.py": "asks the servers of a process; the process context that uses it only holds them",
    "app/services/webhook_endpoints/webhook_administration.py": "has the SQL of a command; commands have none",
    "app/services/artifacts/bucket_comparison.py": "has the SQL of a command; commands have none",
    "app/services/tasks/references.py": "has the SQL of a route; routes have none",
    "app/services/tasks/pins.py": "has the SQL of routes; routes have none",
    "app/worker/run/branch_and_author.py": "decides who commits, and to which branch; reading a context decides nothing",
    "app/web/task_bodies.py": "catches errors and queries; routers do neither",
    "app/web/proxies.py": "is a part of HTTP, of which the command `serve` makes use",
}


def main() -> int:
    """Print each folder, file, function and dataclass that exceeds a limit; return 1 if any does, else 0."""
    findings = list(find(ROOT, exceptions=EXCEPTIONS))
    for where, what in findings:
        print(f"{where}: {what}", file=sys.stderr)
    return 1 if findings else 0


def find(root: Path, *, exceptions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each place below a checkout that exceeds a limit and is no exception, and each exception of nothing."""
    found = [*folders(root), *names(root), *files(root), *functions(root), *routes(root), *specs(root)]
    yield from ((where, what) for where, what in found if where not in exceptions)
    for where in sorted(exceptions.keys() - {where for where, _ in found}):
        yield where, "is an exception that nothing needs"


def folders(root: Path) -> Iterator[tuple[str, str]]:
    """Yield folders with too many modules."""
    for package in sorted(
        path.parent for top in ("app", "tests") for path in root.glob(f"{top}/*/**/__init__.py")
    ):
        number = sum(path.stem != "__init__" for path in package.glob("*.py"))
        if number > MAX_MODULES:
            yield _name(package, root), f"has {number} modules; {MAX_MODULES} are allowed"


def names(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules with the name of their folder, which tells nothing, and those of rooms with that of another."""
    for path in _modules(root / "app"):
        if path.stem == path.parent.name:
            yield _name(path, root), "has the name of its folder"
    modules = [path for room in ROOMS for path in _modules(root / room) if not path.stem.startswith("__")]
    first: dict[str, Path] = {}
    for path in modules:
        if _name(path, root).startswith(f"{NOUNS}/"):
            continue
        if first.setdefault(path.stem, path) is not path:
            yield _name(path, root), f"has the name of {_name(first[path.stem], root)}"


def files(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of `app` that have too many lines, or too few for a module that only one other imports."""
    importers = find_importers(root)
    for path in _modules(root / "app"):
        name, users = _name(path, root), importers[_dotted(path, root)]
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield name, f"has {lines} lines; {MAX_FILE_LINES} are allowed"
        if (
            lines < MIN_LINES_OF_ONE_USER
            and len(users) == 1
            and path.stem != "__init__"
            and not _is_excused(name, min(users))
        ):
            yield name, f"has {lines} lines and is imported by {min(users)} only: join them"


def _is_excused(name: str, user: str) -> bool:
    return any(name.startswith(f"{folder}/") and user == lister for folder, (lister, _) in LISTED.items())


def find_importers(root: Path) -> dict[str, set[str]]:
    """Return for each module of `app` those modules of `app` that import it or something of it."""
    modules = {_dotted(path, root): path for path in _modules(root / "app")}
    importers: dict[str, set[str]] = {module: set() for module in modules}
    for importer, path in modules.items():
        for node in ast.walk(_parse(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                parts = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [part if part in modules else node.module for part in parts]
            for name in modules.keys() & set(names) - {importer}:
                importers[name].add(importer)
    return importers


def functions(root: Path) -> Iterator[tuple[str, str]]:
    """Yield functions of services and agents with too many parameters, long ones, and private ones with a docstring."""
    for folder, allowed in (("services", MAX_SERVICE_PARAMETERS), ("agents", MAX_AGENT_PARAMETERS)):
        for path in _modules(root / "app" / folder):
            for function in _functions(path):
                number = _parameters(function)
                if not function.name.startswith("_") and number > allowed:
                    yield (
                        f"{_name(path, root)}:{function.name}",
                        f"takes {number} parameters; {allowed} are allowed",
                    )
    for path in _modules(root / "app"):
        limit = MAX_ROUTER_LINES if path.is_relative_to(root / "app/routers") else MAX_FUNCTION_LINES
        for function in _functions(path):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > limit:
                yield f"{_name(path, root)}:{function.name}", f"has {lines} lines; {limit} are allowed"
            if _is_private(function.name) and ast.get_docstring(function):
                yield (
                    f"{_name(path, root)}:{function.name}",
                    "is private and has a docstring; a comment says why",
                )


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def routes(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the route functions that decide something, and classes beside them: both are dependencies or services."""
    for path in _modules(root / "app/routers"):
        for node in ast.walk(_parse(path)):
            if isinstance(node, ast.ClassDef):
                yield f"{_name(path, root)}:{node.name}", "is a class; routers have routes only"
        for function in filter(_is_route, _functions(path)):
            if any(isinstance(node, _DECIDING) for node in ast.walk(function)):
                yield (
                    f"{_name(path, root)}:{function.name}",
                    "has `if`, `try`, `with` or the like; routes only call",
                )


def _is_route(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    called = (decorator.func for decorator in function.decorator_list if isinstance(decorator, ast.Call))
    return any(isinstance(each, ast.Attribute) and each.attr in METHODS for each in called)


def specs(root: Path) -> Iterator[tuple[str, str]]:
    """Yield dataclasses with too many fields, inherited fields included."""
    found = [(path, node) for path in _modules(root / "app") for node in _dataclasses(path)]
    by_name = {node.name: node for _, node in found}

    def count(node: ast.ClassDef) -> int:
        bases = [by_name[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in by_name]
        return sum(isinstance(item, ast.AnnAssign) for item in node.body) + sum(map(count, bases))

    for path, node in found:
        if (fields := count(node)) > MAX_FIELDS:
            yield f"{_name(path, root)}:{node.name}", f"has {fields} fields; {MAX_FIELDS} are allowed"


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _dataclasses(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(_parse(path)):
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


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


if __name__ == "__main__":
    sys.exit(main())
