"""Fixtures of the tests of agents: real git origins, real sandboxes, and runs performed in them."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol  # Any: JSON

import pytest
from typing_extensions import override

from app.agents.adapters.adapter import Adapter
from app.agents.adapters.catalog import load_catalog
from app.agents.agent_folders import AgentFolders
from app.agents.errors import AgentError, SandboxUnavailable
from app.agents.execution.run_context import (
    RunAgent,
    RunContext,
    RunEffects,
    RunFiles,
    RunLimits,
    RunRepository,
)
from app.agents.execution.run_steps import perform
from app.agents.files.attachments import Attachment
from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.run_result import RunResult
from app.agents.sandbox.confinement import Sandbox, Streams, confined_environment
from app.agents.sandbox.policy import Confinement, SandboxPolicy
from app.agents.sandbox.probing import probe
from app.agents.session.command_source import Command, CommandSource
from app.agents.session.usage_meter import UsageMeter
from app.agents.tools.notify_user import NotifyUser
from app.agents.workspace.run_workspace import Workspaces
from app.dialogue.shown_questions import ShownQuestion
from app.enums import AgentNetwork, CommandStatus, SandboxKind
from app.processes.own_program import OWN_PROGRAM
from tests.support import waiting
from tests.support.stand_ins.git_origins import Commit, write_origin

SCRIPT = Path(__file__).with_name("scripted_agent.py")
PUSH_BRANCH = "taskbeacon/tes-0-1234abcd"

CONFINING = (SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK)
# Runs a test in each kind of sandbox that confines.
in_each_sandbox = pytest.mark.parametrize("sandbox", CONFINING, indirect=True)

_PROBED: dict[SandboxKind, Sandbox] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ordinary_user: root, who may read everything, cannot show this")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what root cannot show to test_ordinary_user.py, which runs it without root's privileges."""
    if os.geteuid() != 0:
        return
    left = [item for item in items if item.get_closest_marker("ordinary_user")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


async def find_sandbox(kind: SandboxKind) -> Sandbox:
    """Return a working sandbox of a kind; each is probed once per test process."""
    if kind not in _PROBED:
        _PROBED[kind] = await probe(SandboxPolicy(kind=kind))
    return _PROBED[kind]


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """The best sandbox of this machine, or one of the kind that is the parameter."""
    try:
        return await find_sandbox(getattr(request, "param", SandboxKind.AUTO))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


def scripted_adapter(part: str, **fields: Any) -> Adapter:
    """Return an adapter with an agent that plays a part of scripted_agent.py."""
    return Adapter(
        name="actor",
        command=(sys.executable, "-I", "-S", str(SCRIPT), part),
        install="It is there.",
        readable=(*OWN_PROGRAM, SCRIPT.parent),
        **fields,
    )


def remembering_adapter(manner: str, name: str = "remembering") -> Adapter:
    """Return an adapter with an agent that resumes its conversations in a manner of remembering_agent.py."""
    script = SCRIPT.with_name("remembering_agent.py")
    return Adapter(
        name=name,
        command=(sys.executable, "-I", "-S", str(script), manner),
        install="It is there.",
        readable=(*OWN_PROGRAM, script.parent),
        sessions=(".remembering/sessions",),
    )


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fail if it does not in time."""

    async def holds() -> bool:
        return condition()

    await waiting.eventually(holds)


@dataclass(frozen=True)
class GitFolder:
    """A repository that a test looks into with plain git."""

    path: Path

    def git(self, *arguments: str, **environment: str) -> str:
        result = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_GLOBAL": os.devnull,
                # A git-lfs that the machine has would fetch what is looked for.
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_AUTHOR_NAME": "Ada",
                "GIT_AUTHOR_EMAIL": "ada@example.com",
                "GIT_COMMITTER_NAME": "Ada",
                "GIT_COMMITTER_EMAIL": "ada@example.com",
                **environment,
            },
            capture_output=True,
            check=True,
            text=True,
        )
        return result.stdout.strip()

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)").splitlines()


def make_origin(folder: Path, files: dict[str, str] | None = None) -> GitFolder:
    """Make a bare repository with three commits on `main`, or one with the given files."""
    bare = folder / "origin.git"
    if files is None:
        some = [Commit(f"Commit {n}", {f"file{n}.txt": f"content {n}\n"}) for n in range(3)]
    else:
        some = [Commit("All files", files)] if files else []
    write_origin(bare, some)
    return GitFolder(bare)


@pytest.fixture
def origin(tmp_path: Path) -> GitFolder:
    return make_origin(tmp_path / "git")


@dataclass
class Outcome:
    """The result or the error of a run, and the contents of its log."""

    result: RunResult | None = None
    error: AgentError | None = None
    entries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def done(self) -> RunResult:
        assert self.error is None, self.error
        assert self.result is not None
        return self.result

    @property
    def failed(self) -> AgentError:
        assert self.error is not None, self.result
        return self.error

    def updates(self, kind: str) -> list[dict[str, Any]]:
        updates = [
            entry["notification"]["params"]["update"]
            for entry in self.entries
            if entry["notification"]["method"] == "session/update"
        ]
        return [update for update in updates if update["sessionUpdate"] == kind]

    def steps(self) -> list[str]:
        """The progress entries' steps, each once."""
        steps = [
            entry["notification"]["params"]["step"]
            for entry in self.entries
            if entry["notification"]["method"] == "_taskbeacon/progress"
        ]
        return list(dict.fromkeys(steps))


class NoCommands(CommandSource):
    """The commands of a run that is not steered."""

    @override
    async def news(self) -> None:
        await asyncio.Event().wait()

    @override
    async def fetch(self) -> list[Command]:
        return []

    @override
    def is_open(self, command: Command) -> bool:
        return True

    @override
    async def settle(
        self, command: Command, status: CommandStatus, reason: str | None = None, *, is_logged: bool = True
    ) -> bool:
        return False

    @override
    async def files(self, ids: Sequence[str]) -> list[Attachment]:
        return []

    @override
    async def await_message(self, asked: ShownQuestion) -> bool:
        return True

    @override
    def resume(self) -> None:
        """Do nothing."""

    @override
    async def await_answer(self, asked: ShownQuestion) -> None:
        pass

    @override
    async def withdraw(self, request_id: str) -> bool:
        return True

    @override
    async def close(self) -> bool:
        return True

    @override
    async def end(self) -> bool:
        return False


@dataclass
class Runner:
    """Performs runs below a folder of the test."""

    context: RunContext

    async def run(
        self,
        prompt: str,
        *,
        meter: UsageMeter | None = None,
        commands: CommandSource | None = None,
        notify_user: NotifyUser | None = None,
        **changes: Any,
    ) -> Outcome:
        outcome = Outcome()

        async def emit(entry: dict[str, Any]) -> None:
            outcome.entries.append(entry)

        try:
            effects = RunEffects(
                emit=emit,
                meter=meter or UsageMeter(),
                commands=commands or NoCommands(),
                notify_user=notify_user,
            )
            outcome.result = await perform(self.prepare(prompt, **changes), effects)
        except AgentError as error:
            outcome.error = error
        assert list(self.context.files.workspaces.root.iterdir()) == [], "the workspace was left behind"
        return outcome

    def prepare(self, prompt: str, **changes: Any) -> RunContext:
        self.context.files.workspaces.root.mkdir(exist_ok=True)
        return changed(self.context, run_id=uuid.uuid4(), prompt=prompt, **changes)


def changed(context: RunContext, **changes: Any) -> RunContext:
    """Return a context with other facts, in whichever of its parts they are; `clone_url` makes the source."""
    source = context.repository.source
    if "clone_url" in changes:
        url = changes.pop("clone_url")
        source = Source(remote=Remote.parse(url), depth=50) if url else None
    if source is not None:
        names = {
            "base_branch": "branch",
            "clone_depth": "depth",
            "clone_filter": "filter",
            "resumes": "resumes",
        }
        own = {field: changes.pop(name) for name, field in names.items() if name in changes}
        source = replace(source, **own)
    changes["source"] = source
    workspaces = context.files.workspaces
    own = {
        key: changes.pop(key) for key in list(changes) if hasattr(workspaces, key) and key != "environment"
    }
    changes["workspaces"] = replace(workspaces, **own)
    for name in ("repository", "agent", "limits", "files"):
        part = getattr(context, name)
        own = {key: changes.pop(key) for key in list(changes) if hasattr(part, key)}
        context = replace(context, **{name: replace(part, **own)})
    return replace(context, **changes)


@pytest.fixture
def runner(tmp_path: Path, origin: GitFolder, sandbox: Sandbox) -> Runner:
    return Runner(
        RunContext(
            run_id=uuid.uuid4(),
            repository=RunRepository(
                push_branch=PUSH_BRANCH,
                source=Source(remote=Remote.parse(origin.url), depth=50),
                commit_subject="Do the thing",
            ),
            agent=RunAgent(adapter=load_catalog().find("runbook"), prompt=""),
            limits=RunLimits(timeout=timedelta(minutes=4)),
            files=RunFiles(workspaces=Workspaces(tmp_path / "workspaces", dict(os.environ))),
            sandbox=sandbox,
            environment=dict(os.environ),
        )
    )


@pytest.fixture
def limited(runner: Runner) -> Runner:
    """A runner with small shares; each bomb of a test is far over its share, and bounded."""
    sandbox = runner.context.sandbox
    policy = replace(
        sandbox.policy,
        memory_bytes=256 * 2**20,
        processes=60,
        disk_bytes=48 * 2**20,
        file_bytes=512 * 2**20,
        pause_seconds=0.1,
        disk_pause_seconds=0.2,
    )
    runner.context = replace(runner.context, sandbox=replace(sandbox, policy=policy))
    return runner


@dataclass
class Cell:
    """A folder with a confinement in which a test starts plain commands."""

    sandbox: Sandbox
    confinement: Confinement

    async def run(self, *command: str, network: AgentNetwork = AgentNetwork.NONE) -> tuple[int, str]:
        """Run a command; return its exit status and everything it printed."""
        process = await self.sandbox.start(
            command,
            self.confinement,
            confined_environment(os.environ | {"PATH": _system_path()}),
            network=network,
            streams=Streams(stderr=asyncio.subprocess.STDOUT),
        )
        ended = await process.finish(2**20)
        return ended.code, ended.output.decode(errors="replace")


def _system_path() -> str:
    """Return PATH without this environment's own programs, which an activated one puts first: cells do not see them."""
    own = str(Path(sys.prefix) / "bin")
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != own)


class CellMaker(Protocol):
    def __call__(self, sandbox: Sandbox, name: str = "run") -> Cell: ...


@pytest.fixture
def make_cell(tmp_path: Path) -> CellMaker:
    def make(sandbox: Sandbox, name: str = "run") -> Cell:
        places = AgentFolders(tmp_path / name)
        for place in (places.work, places.home, places.temporary):
            place.mkdir(parents=True)
        return Cell(sandbox, Confinement(places=places))

    return make
