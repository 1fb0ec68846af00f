"""Live diffs of a run beside a plain `git diff`, and what they cost the agent: `make bench ARGS="--only diffs"`.

In a repository of 10,000 files, of which 30 have changed. The agent is a program that writes files; a diff is made as
often as a worker makes one for clients that keep asking.
"""

import asyncio
import os
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from statistics import median
from typing import Final

from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.git.run_repository import Author
from app.agents.sandbox.confinement import Sandbox, confined_environment
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe
from app.agents.workspace.run_workspace import Workspace, Workspaces
from app.services.artifacts.live_diff import fresh_seconds
from bench.table import timing

_FILES: Final = 10_000
_CHANGED: Final = 30
_TIMES: Final = 15
_ROUNDS: Final = 4
_AGENT: Final = "i=0; while [ $i -lt 6000 ]; do i=$((i+1)); echo $i > made-$((i%200)).txt; /bin/true; done"


def _make_origin(folder: Path) -> None:
    for number in range(_FILES):
        path = folder / f"src/d{number // 100}/f{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"line {line} of {number}\n" for line in range(60)))
    for command in ("init -q -b main", "add .", "-c user.name=a -c user.email=a@b commit -q -m First"):
        _git(folder, *command.split())


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 - our own


async def _time_diffs(workspace: Workspace, sandbox: Sandbox) -> tuple[float, list[float], list[float]]:
    ours, plain = list[float](), list[float]()
    for _ in range(_TIMES):
        for number in range(_CHANGED):
            with (workspace.work / f"src/d{number}/f{number * 100}.py").open("a") as file:
                file.write("more\n")
        began = time.perf_counter()
        await workspace.compare(sandbox)
        between = time.perf_counter()
        await asyncio.to_thread(_git, workspace.work, "diff")
        ours.append((between - began) * 1000)
        plain.append((time.perf_counter() - between) * 1000)
    return ours[0], ours[1:], plain[1:]


async def _keep_comparing(workspace: Workspace, sandbox: Sandbox) -> None:
    while True:
        began = time.perf_counter()
        await workspace.compare(sandbox)
        await asyncio.sleep(fresh_seconds(time.perf_counter() - began))


async def _time_agent(workspace: Workspace, sandbox: Sandbox, *, is_watched: bool) -> float:
    watching = asyncio.create_task(_keep_comparing(workspace, sandbox)) if is_watched else None
    began = time.perf_counter()
    agent = await sandbox.start(
        ("sh", "-c", _AGENT), workspace.confinement(), confined_environment(os.environ)
    )
    await agent.wait()
    spent = time.perf_counter() - began
    await agent.stop()
    if watching:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    return spent * 1000


async def _measure(root: Path) -> list[tuple[str, ...]]:
    origin = root / "origin"
    _make_origin(origin)
    sandbox = await probe(SandboxPolicy(accepts_root=True))
    async with Workspaces(root / "workspaces", os.environ).open(uuid.uuid4()) as workspace:
        source = Source(remote=Remote.parse(origin.as_uri()), depth=50)
        await workspace.prepare(source, "work", author=Author())
        first, ours, plain = await _time_diffs(workspace, sandbox)
        alone, watched = list[float](), list[float]()
        for _ in range(_ROUNDS):
            alone.append(await _time_agent(workspace, sandbox, is_watched=False))
            watched.append(await _time_agent(workspace, sandbox, is_watched=True))
    return [
        *timing("live diff, the first", first, reference=median(plain), referee="git diff"),
        *timing("live diff", median(ours), reference=median(plain), referee="git diff"),
        *timing("agent that is watched", median(watched), reference=median(alone), referee="not watched"),
    ]


def rows() -> list[tuple[str, ...]]:
    """Measure live diffs; return rows of the table of `make bench`."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))
