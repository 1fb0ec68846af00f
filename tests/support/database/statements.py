"""All prepared statements of the service that are constants of its modules."""

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import app.services
from app.db.statements import Prepared


def prepared_statements() -> Iterator[tuple[str, Prepared[object]]]:
    """Yield each statement with its name; those in a table of statements have the name of the table."""
    for module in _modules():
        for name, value in vars(import_module(module)).items():
            for each in value.values() if isinstance(value, dict) else [value]:
                if isinstance(each, Prepared):
                    yield f"{module}.{name}", each


@cache
def _modules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(app.services.__path__, "app.services.")]
