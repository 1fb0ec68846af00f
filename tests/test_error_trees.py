"""The trees of errors that docstrings draw are the trees of the classes, and an error can be copied."""

import inspect
import re
from collections.abc import Mapping
from types import ModuleType

import pytest

from app import errors
from app.agents import errors as agent_errors

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


def _defined(module: ModuleType) -> Mapping[str, type[Exception]]:
    return {
        name: each
        for name, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, Exception) and each.__module__ == module.__name__
    }


@pytest.mark.parametrize("module", [errors, agent_errors], ids=lambda module: module.__name__)
def test_drawn_tree_shows_every_class_below_its_parent(module: ModuleType) -> None:
    defined = _defined(module)
    parents = {name: each.__base__.__name__ for name, each in defined.items() if each.__base__}

    drawn = {name: parent or "Exception" for name, (parent, _) in _drawn(module.__doc__ or "").items()}

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
