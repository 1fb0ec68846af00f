"""The trees of errors that docstrings draw are the trees of the classes, and an error can be copied."""

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from app import errors

_ROOT = Path(__file__).parents[1]
_CLASS = re.compile(r"^class (\w+)\((?:\w+\.)*(\w+)", re.MULTILINE)
_FIRST_ERRORS = ("Exception", "Error", "Outage")
# Errors of a module that derive from each other, from which on it draws them.
_ENOUGH_FOR_A_TREE = 3

_LINE = re.compile(
    r"(?P<indent>(?:│   |    )*)(?P<branch>[├└]── )?(?P<name>[A-Z]\w+) {2,}(?P<status>[0-9]{3})?"
)


def _drawn(docstring: str) -> dict[str, tuple[str | None, int | None]]:
    """Return the parent and the status of each class that a tree shows; None where it shows neither."""
    tree: dict[str, tuple[str | None, int | None]] = {}
    above: list[str] = []
    for line in docstring.splitlines():
        found = _LINE.match(line.ljust(80))
        if found is None:
            continue
        depth = len(found["indent"]) // 4 + 1 if found["branch"] else 0
        status = int(found["status"]) if found["status"] else None
        tree[found["name"]] = (above[depth - 1] if depth else None, status)
        above[depth:] = [found["name"]]
    return tree


def _modules() -> Iterator[str]:
    """Yield the modules of the service and of its client that draw a tree of errors, or have to."""
    for package in (_ROOT / "app", _ROOT / "client/taskbeacon"):
        for path in sorted(package.rglob("*.py")):
            source = path.read_text()
            if "── " in source or len(_related(source)) >= _ENOUGH_FOR_A_TREE:
                yield ".".join(path.relative_to(package.parent).with_suffix("").parts)


def _related(source: str) -> set[str]:
    """Return the errors of a module of which one derives from another. Reads the source: imports take longer."""
    bases = {name: base for name, base in _CLASS.findall(source) if name != base}
    related = set()
    for name, base in bases.items():
        first = name
        while first in bases:
            first = bases[first]
        if base in bases and first.endswith(_FIRST_ERRORS):
            related |= {name, base}
    return related


def _defined(module: ModuleType) -> Mapping[str, type[Exception]]:
    return {
        name: each
        for name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception) and each.__module__ == module.__name__
    }


@pytest.mark.parametrize("name", list(_modules()))
def test_drawn_tree_shows_every_class_below_its_parent(name: str) -> None:
    module = import_module(name)
    parents = {name: each.__base__.__name__ for name, each in _defined(module).items() if each.__base__}

    tree = _drawn(module.__doc__ or "")
    # A root may be of another module.
    drawn = {name: parent or "Exception" for name, (parent, _) in tree.items() if parent or name in parents}

    assert drawn == parents


def test_drawn_statuses_are_those_of_the_classes() -> None:
    defined = _defined(errors)
    drawn = {name: status for name, (_, status) in _drawn(errors.__doc__ or "").items() if status}

    assert drawn == {name: vars(defined[name]).get("status", 400) for name in drawn}
    # A class that sets a status shows it.
    assert {name for name, each in defined.items() if "status" in vars(each)} - set(drawn) <= {
        "AppError",
        "RequestRefused",
    }


def test_copy_of_an_error_differs_by_its_message_only() -> None:
    """Also where the class makes its message itself."""
    error = errors.Throttled(retry_after=3)
    message = error.detail

    copied = error.with_detail("Later.")

    assert isinstance(copied, errors.Throttled)
    assert (copied.body, copied.status, copied.retry_after, str(copied)) == (
        {**error.body, "detail": "Later."},
        429,
        3,
        "Later.",
    )
    assert (error.detail, str(error)) == (message, message)
