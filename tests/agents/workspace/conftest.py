"""Workspaces in which shell scripts work as agents do, in the sandbox of a run."""

import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.git.run_repository import Author
from app.agents.sandbox.confinement import Sandbox
from app.agents.workspace.run_workspace import Collected, Workspace, Workspaces
from app.agents.workspace.work_bundle import GATHER
from tests.agents.conftest import PUSH_BRANCH, Cell, GitFolder


@dataclass
class Collector:
    """Lets a script work in a workspace, collects what it left, and pushes it."""

    root: Path
    sandbox: Sandbox
    origin: GitFolder

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Opened"]:
        """Yield a workspace in which scripts work one after the other."""
        remote = Remote.parse(self.origin.url)
        async with Workspaces(self.root, os.environ).open(uuid.uuid4()) as workspace:
            await workspace.prepare(Source(remote=remote, depth=50), PUSH_BRANCH, author=Author())
            opened = Opened(workspace, Cell(self.sandbox, workspace.confinement()), self.origin)
            await opened.run("cp -a .git $TMPDIR/whole")
            yield opened

    async def collect(
        self,
        *scripts: str,
        origin: GitFolder | None = None,
        subject: str = "Do the thing",
        hidden: Sequence[Path] = (),
        within: timedelta = timedelta(minutes=1),
        program: str = GATHER,
        memory: int = 512 * 2**20,
    ) -> Collected:
        remote = Remote.parse((origin or self.origin).url)
        workspaces = Workspaces(self.root, os.environ, hidden=hidden, comparing_memory=memory)
        async with workspaces.open(uuid.uuid4()) as workspace:
            source = Source(remote=remote, depth=50)
            await workspace.prepare(source, PUSH_BRANCH, author=Author())
            cell = Cell(self.sandbox, workspace.confinement())
            for script in scripts:
                code, output = await cell.run("sh", "-ec", script)
                assert code == 0, output
            collected = await workspace.collect(self.sandbox, subject, within=within, program=program)
            if collected.head is not None:
                await workspace.repository.push(remote, collected.head, PUSH_BRANCH, workspace.base)
        return collected

    def left(self) -> list[Path]:
        return list(self.root.iterdir())


@dataclass
class Opened:
    """A workspace, and a cell with its folders."""

    workspace: Workspace
    cell: Cell
    origin: GitFolder

    async def run(self, script: str) -> None:
        code, output = await self.cell.run("sh", "-ec", script)
        assert code == 0, output

    async def renew(self, script: str) -> None:
        """Run a script in a repository that is as it was at the beginning."""
        await self.run(f"rm -rf .git; cp -a $TMPDIR/whole .git; git reset -q --hard\n{script}")

    async def push(self, subject: str = "Do the thing") -> Collected:
        """Collect what is there, and push it in place of what was pushed before."""
        collected = await self.workspace.collect(self.cell.sandbox, subject)
        assert collected.head is not None
        if PUSH_BRANCH in self.origin.branches():
            self.origin.git("branch", "-D", PUSH_BRANCH)
        remote, base = Remote.parse(self.origin.url), self.workspace.base
        await self.workspace.repository.push(remote, collected.head, PUSH_BRANCH, base)
        return collected


@pytest.fixture
def collector(tmp_path: Path, sandbox: Sandbox, origin: GitFolder) -> Collector:
    return Collector(tmp_path / "workspaces", sandbox, origin)
