"""A plugin of mypy that refuses an assignment of tests to an attribute of `app`.

Tests give limits and clients as arguments, as the service does. They may change rows, which are their subject. What
they replace in modules is found by tests/test_architecture.py.
"""

from collections.abc import Callable
from pathlib import Path

from mypy.plugin import AttributeContext, Plugin
from mypy.types import Type
from typing_extensions import override

_ROWS = "app.models."


class _Assignments(Plugin):
    @override
    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        is_ours = fullname.startswith("app.") and not fullname.startswith(_ROWS)
        return self._check if is_ours else None

    @override
    def get_class_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        return self.get_attribute_hook(fullname)

    def _check(self, context: AttributeContext) -> Type:
        if context.is_lvalue:
            tests = Path(self.options.config_file or "").parent.resolve() / "tests"
            if Path(context.api.path).resolve().is_relative_to(tests):
                context.api.fail("Tests assign no attribute of app: make it an argument", context.context)
        return context.default_attr_type


def plugin(_version: str) -> type[Plugin]:
    """Return the class of the plugin, as mypy asks for it."""
    return _Assignments
