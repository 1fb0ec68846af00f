"""Report changed conditions that no test notices: `python -m checks.mutants FILE... [--tests TEST...]`.

cosmic-ray changes one condition of the files at a time, in a copy of the checkout: it negates it, moves its boundary,
or swaps `and` and `or`, or True and False. Then it runs the tests: those that are named, else the modules
`test_<file>.py`. A test that fails has noticed the change. Prints each change that all tests passed. Such a change may
also be one that makes no difference. No part of `make check`: each change takes as long as the tests.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[1]
_FOLDER: Final = _ROOT / ".taskbeacon/mutants"
_COSMIC_RAY: Final = "cosmic-ray==8.7.0"
# Layers whose files share their names with services: a test is about the noun in all of them.
_NOUNS: Final = frozenset({"enums", "models", "routers", "schemas"})
_COMPARISONS: Final = (
    "Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt|Is_IsNot|IsNot_Is"
)
# `&` is a condition in SQL.
_OPERATORS: Final = (
    "AddNot|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceUnaryOperator_Delete_Not"
    f"|ReplaceBinaryOperator_BitAnd_BitOr|ReplaceComparisonOperator_({_COMPARISONS}|In_NotIn|NotIn_In)"
)


def find_tests(file: str, root: Path = _ROOT) -> list[str]:
    """Return the test modules with the name of a file, as paths relative to the checkout.

    If files of other layers have the name too, only those in a folder with the name of the file's folder.
    """
    path = Path(file)
    tests = [*(root / "tests").rglob(f"test_{path.name}")]
    named = [other.relative_to(root / "app") for other in (root / "app").rglob(path.name)]
    if sum(other.parts[0] not in _NOUNS for other in named) > 1:
        tests = [test for test in tests if test.parent.name == path.parent.name]
    return sorted(str(test.relative_to(root)) for test in tests)


def find_survivors(dump: str) -> Iterator[str]:
    """Yield each change that all tests passed, as a diff, from the output of `cosmic-ray dump`."""
    for line in dump.splitlines():
        _, result = json.loads(line)
        if (
            result is not None
            and result["test_outcome"] == "survived"
            and not _is_of_dataclass(result["diff"])
        ):
            yield "\n".join(result["diff"].splitlines()[2:])


def _is_of_dataclass(diff: str) -> bool:
    """Return whether a diff only changes an option of a dataclass, such as `frozen`, which no test needs to notice."""
    return any(line.startswith("-@dataclass(") for line in diff.splitlines())


def main(arguments: Sequence[str]) -> int:
    """Run the tests for each change of the files, print the changes that survive, and return the exit status."""
    parser = argparse.ArgumentParser(prog="checks.mutants")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tests", nargs="+", default=[])
    options = parser.parse_args(arguments)
    tests = options.tests or [test for file in options.files for test in find_tests(file)]
    if not tests:
        parser.error("no test has the name of a file: name some with --tests")
    copy = _copy()
    # In one order: a test that depends on it would be taken for one that notices a change.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", *tests]
    began = monotonic()
    if subprocess.run(command, cwd=copy, stdout=subprocess.DEVNULL, check=False).returncode:
        print(f"The tests fail without a change: {shlex.join(command)}", file=sys.stderr)
        return 1
    seconds = monotonic() - began
    # Twice and more: a busy machine is slow, and a change may wait for ever.
    _configure(copy, files=options.files, command=command, timeout=3 * seconds + 30)
    _cosmic_ray(copy, "cosmic-ray", "init", "mutants.toml", "mutants.sqlite")
    _cosmic_ray(copy, "cr-filter-operators", "mutants.sqlite", "mutants.toml")
    count = sum(result is None for _, result in map(json.loads, _dump(copy).splitlines()))
    print(f"{count} changes, at most {seconds * count / 60:.0f} minutes: {shlex.join(tests)}", flush=True)
    _cosmic_ray(copy, "cosmic-ray", "exec", "mutants.toml", "mutants.sqlite")
    survivors = list(find_survivors(_dump(copy)))
    print(*survivors, f"{len(survivors)} of {count} changes were noticed by no test.", sep="\n\n")
    return 0


def _copy() -> Path:
    """Copy the files of the checkout that git does not ignore, and return the folder of the copy."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=_ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (_ROOT / name).is_file():
            (_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, _FOLDER / name)
    return _FOLDER


def _configure(copy: Path, *, files: Sequence[str], command: Sequence[str], timeout: float) -> None:
    """Write the configuration of cosmic-ray. Strings of JSON are strings of TOML too."""
    settings: dict[str, Any] = {
        "module-path": list(files),
        "timeout": timeout,
        "excluded-modules": [],
        "test-command": shlex.join(command),
    }
    lines = ["[cosmic-ray]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    lines += ["[cosmic-ray.distributor]", 'name = "local"', "[cosmic-ray.filters.operators-filter]"]
    lines.append(f"exclude-operators = {json.dumps([f'core/(?!({_OPERATORS})$)'])}")
    (copy / "mutants.toml").write_text("\n".join(lines), encoding="utf-8")


def _dump(copy: Path) -> str:
    return _cosmic_ray(copy, "cosmic-ray", "dump", "mutants.sqlite")


def _cosmic_ray(copy: Path, program: str, *arguments: str) -> str:
    """Run a program of cosmic-ray in the copy, in an environment of its own, and return its output."""
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "tool", "run", "--quiet", "--from", _COSMIC_RAY, program, *arguments]
    return subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
