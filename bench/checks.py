"""Measure what checks add to a run, against bars, without servers: `make bench-checks`.

found     what 20,000 files suggest
report    of 50,000 cases, from the file to the judgement, and the memory of the program that reads it
clone     of 200 MB from a warm mirror: until the first check begins, and from the end of the last one to the verdict
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from app.agents.check_execution.check_context import Checked, Preparation
from app.agents.check_execution.commit_verification import verify
from app.agents.check_execution.reports import Reports
from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.git.mirrors import Mirrors
from app.agents.git.run_repository import Author
from app.agents.network.network_access import NetworkRules
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.agents.workspace.run_workspace import Workspaces
from app.enums import ChecksNetwork, CheckSource
from app.processes.own_program import module_command
from app.verdicts.definitions import Check, CheckSet, PlacedCheck
from app.verdicts.judgement import CheckResult, Execution, Facts, judge, judge_check
from app.verdicts.suggested_checks import find_checks

_FILES: Final = 20_000
_CASES: Final = 50_000
_REPOSITORY_MB: Final = 200
_TIMES: Final = 5
_BARS: Final = {
    "found: 20,000 files, ms": 150.0,
    "report: 50,000 cases to the judgement, ms": 2000.0,
    "report: memory of its reader, MB": 200.0,
    "clone: first check, ms": 2000.0,
    "clone: last check to verdict, ms": 1000.0,
}


class _Effects:
    """The log of an attempt by the time of its entries."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    async def emit(self, entry: dict[str, Any], /) -> None:
        self.times[entry["notification"]["params"]["status"]] = time.perf_counter()

    async def note(self, _checked: Checked, _running: PlacedCheck | None) -> None: ...

    async def store_output(self, _check_id: str, _part: str, _output: bytes) -> str | None:
        return None

    async def find_base(self, _key: bytes) -> Execution | None:
        return None

    async def keep_base(self, _key: bytes, _execution: Execution) -> None: ...


def _measure_found() -> float:
    paths = [f"packages/p{n % 500}/src/module{n}.ts" for n in range(_FILES - 500)]
    paths += [f"packages/p{n}/package.json" for n in range(500)]
    began = time.perf_counter()
    find_checks(paths, dict.fromkeys(paths[-500:], '{"scripts": {"test": "jest"}}').get)
    return (time.perf_counter() - began) * 1000


async def _measure_report(root: Path, preparation: Preparation) -> tuple[float, float]:
    cases = "".join(f'<testcase classname="package.module{n % 500}" name="test {n}"/>' for n in range(_CASES))
    workspaces = Workspaces(root / "workspaces", os.environ)
    check = Check(id="tests", run=("true",), reports=("r.xml",))
    placed = PlacedCheck(check=check, source=CheckSource.PROJECT, network=ChecksNetwork.NONE)
    async with workspaces.open(uuid.uuid4()) as workspace:
        workspace.work.mkdir()
        (workspace.work / "r.xml").write_text(f'<testsuite name="all">{cases}</testsuite>')
        began = time.perf_counter()
        found = await Reports(workspace, preparation.sandbox, "", ["r.xml"]).read()
        execution = Execution(exit_code=0, cases=found)
        result = CheckResult(placed=placed, executions=[execution], base=execution)
        judge([judge_check(result, is_tampered=False)], Facts())
        taken = (time.perf_counter() - began) * 1000
        reader = module_command("app.agents.check_execution.junit")
        # By itself, so that it is the largest child of a process that has no other.
        alone = f'import resource, subprocess; subprocess.run({reader!r}, input=b\'["", ["r.xml"]]\', stdout=-3); '
        alone += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        command = (sys.executable, "-c", alone)
        said = await asyncio.to_thread(subprocess.check_output, command, cwd=workspace.work)
    return taken, int(said) * 1024 / 1e6


def _make_repository(root: Path) -> Path:
    origin = root / "origin"
    origin.mkdir()

    def git(*arguments: str) -> None:
        own = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
        subprocess.run(("git", *own, *arguments), cwd=origin, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 - git

    git("init", "--quiet", "--initial-branch=main")
    for number in range(_REPOSITORY_MB * 10):
        path = origin / f"folder{number % 100}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(100_000))
    git("add", ".")
    git("commit", "--quiet", "--message=Base")
    (origin / "change").write_text("changed\n")
    git("add", ".")
    git("commit", "--quiet", "--message=Result")
    return origin


async def _measure_clone(root: Path, preparation: Preparation) -> tuple[float, float]:
    origin = await asyncio.to_thread(_make_repository, root)
    mirrors = Mirrors(root / "mirrors", os.environ, max_bytes=2**30)
    commits = await asyncio.to_thread(
        subprocess.check_output, ("git", "rev-list", "main"), cwd=origin, text=True
    )
    result, base = commits.split()
    source = Source(remote=Remote.parse(origin.as_uri()), depth=50)
    workspaces = Workspaces(root / "workspaces", os.environ, mirrors=mirrors)
    based = replace(preparation, base=base)
    took = []
    for _ in range(_TIMES + 1):
        effects = _Effects()
        began = time.perf_counter()
        async with workspaces.open(uuid.uuid4()) as workspace:
            await workspace.prepare(source, "main", author=Author())
            checked = await verify(workspace, source, result, based, effects)
        judge(checked.judge(), Facts())
        ended = time.perf_counter()
        took.append((effects.times["started"] - began, ended - effects.times["passed"]))
    # The first one fills the mirror.
    first, last = zip(*took[1:], strict=True)
    return sorted(first)[_TIMES // 2] * 1000, sorted(last)[_TIMES // 2] * 1000


async def _measure() -> dict[str, float]:
    checks = CheckSet(checks=(Check(id="one", run=("test", "-e", "change")),))
    preparation = Preparation(
        places=[(CheckSource.PROJECT, checks)],
        sandbox=await probe(SandboxPolicy()),
        setup_network=NetworkRules(),
        run_network=NetworkRules(),
    )
    with tempfile.TemporaryDirectory(prefix="taskbeacon-bench-") as name:
        root = Path(name)
        report = await _measure_report(root, preparation)
        clone = await _measure_clone(root, preparation)
    return dict(zip(_BARS, (_measure_found(), *report, *clone), strict=True))


@click.command(help=__doc__)
def main() -> None:
    """Print the figures; fail if one is over its bar."""
    missed = False
    for name, figure in asyncio.run(_measure()).items():
        missed |= figure > _BARS[name]
        click.echo(f"{name:45} {figure:8.0f}  bar {_BARS[name]:.0f}")
    sys.exit(missed)


if __name__ == "__main__":
    main()
