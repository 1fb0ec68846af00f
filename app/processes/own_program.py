"""Starts modules of this package as programs in the sandbox, from a checkout or an installed package."""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# The folders that a confined process must be able to read to run our modules.
OWN_PROGRAM = (Path(sys.prefix), Path(sys.base_prefix), _PACKAGE)

# Loads the package from its own folder, not by searching the parent folder, which the sandbox hides.
_START = """\
import importlib.util, runpy, sys
folder, module = sys.argv.pop(1), sys.argv.pop(1)
spec = importlib.util.spec_from_file_location(
    "app", folder + "/__init__.py", submodule_search_locations=[folder]
)
sys.modules["app"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["app"])
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def module_command(module: str, *, libraries: bool = False) -> tuple[str, ...]:
    """Return the command that runs a module of this package; it starts faster without `libraries`."""
    site = () if libraries else ("-S",)
    return (sys.executable, "-I", *site, "-c", _START, str(_PACKAGE), module)
