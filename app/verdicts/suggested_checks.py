"""Checks that the files of a repository suggest. They are listed, and executed only when a person has taken them."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from app.dialogue.storable_text import storable
from app.verdicts.definitions import Check, FoundCheck

MOST_FOUND: Final = 20
_LONGEST_FOLDER: Final = 500
_FOREIGN: Final = frozenset({"node_modules", "vendor"})
_PACKAGES: Final = {
    "package.json": ("npm", ("test", "lint", "typecheck", "build")),
    "composer.json": ("composer", ("test",)),
}
_TARGETS: Final = ("test", "lint", "check", "build")
_PLACEHOLDER: Final = "no test specified"
_LOCKS: Final = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lock": "bun", "bun.lockb": "bun"}
_RULES: Final = re.compile(r"^([^\s:=#][^:=#\n]*):(?!=)", re.MULTILINE)
_PYTEST: Final = {
    "pytest.ini": None,
    ".pytest.ini": None,
    "pyproject.toml": re.compile(r"^\[(tool\.pytest(?:\.ini_options)?)\]", re.MULTILINE),
    "setup.cfg": re.compile(r"^\[(tool:pytest)\]", re.MULTILINE),
    "tox.ini": re.compile(r"^\[(pytest)\]", re.MULTILINE),
}
_PROGRAMS: Final = {
    "tox.ini": ("tox", ("tox",)),
    "noxfile.py": ("nox", ("nox",)),
    "Cargo.toml": ("cargo-test", ("cargo", "test")),
    "go.mod": ("go-test", ("go", "test", "./...")),
    "pom.xml": ("mvn-test", ("mvn", "--batch-mode", "test")),
    **dict.fromkeys(("build.gradle", "build.gradle.kts"), ("gradle-test", ("gradle", "test"))),
}
_MAKEFILES: Final = frozenset({"GNUmakefile", "makefile", "Makefile"})
_NAMES: Final = frozenset({*_PACKAGES, *_PYTEST, *_PROGRAMS, *_MAKEFILES})
_PROJECTS: Final = (".sln", ".csproj")


def find_checks(paths: Iterable[str], read: Callable[[str], str | None]) -> list[FoundCheck]:
    """Return what the files of a tree suggest, those of the root first; `read` returns a text, or None if it cannot."""
    files = set(paths)
    found: list[FoundCheck] = []
    places: set[tuple[str, str]] = set()
    ids: Counter[str] = Counter()
    for path in find_suggesting_files(files):
        for suggested in _suggest(path, read, files):
            check = suggested.check
            if (check.id, check.cwd) in places:
                continue
            places.add((check.id, check.cwd))
            ids[check.id] += 1
            if ids[check.id] > 1:
                check = replace(check, id=f"{check.id}-{ids[check.id]}")
            found.append(replace(suggested, check=check))
            if len(found) == MOST_FOUND:
                return found
    return found


def find_suggesting_files(paths: Iterable[str]) -> list[str]:
    """Return the paths of files that may suggest checks and that text can name, those of the root first."""
    return sorted(filter(_may_suggest, paths), key=lambda path: (path.count("/"), path))


def _may_suggest(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if storable(path) != path or (name not in _NAMES and not name.endswith(_PROJECTS)):
        return False
    return len(folder) <= _LONGEST_FOLDER and _FOREIGN.isdisjoint(folder.split("/"))


def _suggest(path: str, read: Callable[[str], str | None], files: set[str]) -> Iterator[FoundCheck]:
    folder, _, name = path.rpartition("/")

    def found(id_: str, *run: str, key: str | None = None, reports: tuple[str, ...] = ()) -> FoundCheck:
        return FoundCheck(check=Check(id=id_, run=run, cwd=folder, reports=reports), path=path, key=key)

    if name in _PROGRAMS:
        id_, run = _PROGRAMS[name]
        yield found(id_, *run)
    if name.endswith(_PROJECTS):
        yield found("dotnet-test", "dotnet", "test", name)
    if name in _PYTEST:
        section = _PYTEST[name]
        match_of_section = section.search(read(path) or "") if section else None
        if section is None or match_of_section:
            run = ("pytest", "-q", "--junitxml=report.xml")
            yield found("pytest", *run, key=match_of_section and match_of_section[1], reports=("report.xml",))
    if name in _MAKEFILES:
        rules = {target for rule in _RULES.findall(read(path) or "") for target in rule.split()}
        yield from (
            found(f"make-{target}", "make", target, key=target) for target in _TARGETS if target in rules
        )
    if name in _PACKAGES:
        kind, known = _PACKAGES[name]
        scripts = _scripts(read(path) or "")
        manager = _manager(folder, files) if kind == "npm" else kind
        for script in known:
            if script in scripts and _PLACEHOLDER not in str(scripts[script]):
                yield found(f"{kind}-{script}", manager, "run", script, key=f"scripts.{script}")


def _manager(folder: str, files: set[str]) -> str:
    places = dict.fromkeys((f"{folder}/" if folder else "", ""))
    return next(
        (manager for place in places for lock, manager in _LOCKS.items() if place + lock in files), "npm"
    )


def _scripts(text: str) -> dict[str, object]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    scripts = content.get("scripts") if isinstance(content, dict) else None
    return scripts if isinstance(scripts, dict) else {}
