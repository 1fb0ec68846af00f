"""Checks the last commit of a small repository against the one before, as workers do: real git, in a real sandbox."""

import os
import shutil
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any  # JSON

import pytest

from app.agents.check_execution.check_context import Checked, Preparation
from app.agents.check_execution.commit_verification import verify
from app.agents.git.fetch import Source
from app.agents.git.git_command import Remote
from app.agents.git.mirrors import Mirrors
from app.agents.git.run_repository import Author
from app.agents.network.network_access import NetworkRules
from app.agents.sandbox.confinement import Sandbox
from app.agents.workspace.run_workspace import Workspaces
from app.enums import AgentNetwork, CheckSource, CheckStatus, Verdict
from app.schemas.checks.check_sets import DefinitionsIn
from app.verdicts.definitions import PlacedCheck
from app.verdicts.judgement import Execution, Facts, JudgedCheck, Judgement, judge
from tests.agents.conftest import GitFolder
from tests.support.stand_ins.git_origins import Commit, Files, write_commits, write_origin

JSON = dict[str, Any]
MIB = 2**20
_SANDBOX_PATH = "/usr/local/bin:/usr/bin:/bin"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where checks would not find all of these programs."""
    missing = [name for name in programs if shutil.which(name, path=_SANDBOX_PATH) is None]
    return pytest.mark.skipif(bool(missing), reason=f"there is no {' and no '.join(missing)}")


@dataclass
class Seen:
    """What was seen of a commit, and what the log says of it."""

    checked: Checked
    log: list[JSON]

    def __getitem__(self, check_id: str) -> JudgedCheck:
        return next(each for each in self.checked.judge() if each.check.id == check_id)

    @property
    def statuses(self) -> dict[str, CheckStatus]:
        return {each.check.id: each.status for each in self.checked.judge()}

    @property
    def judgement(self) -> Judgement:
        facts = Facts(
            has_changes=bool(self.checked.changed),
            protected_changed=self.checked.protected_changed,
            file_fault=self.checked.definitions.file_fault,
        )
        return judge(self.checked.judge(), facts)

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict

    @property
    def steps(self) -> list[str]:
        return [step["status"] for step in self.checked.setup]

    def runs(self, check_id: str) -> list[Execution]:
        return next(each.executions for each in self.checked.checks if each.check.id == check_id)

    def output(self, check_id: str) -> str:
        return self.runs(check_id)[-1].output.decode()


@dataclass
class Checking:
    """A repository, and the worker that checks it."""

    folder: Path
    sandbox: Sandbox
    preparation: Preparation
    mirrors: Mirrors
    kept: dict[bytes, Execution] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)

    def write(self, base: Files, result: Files | None = None, *, between: int = 0) -> None:
        """Make the repository: `result` has what it changes in `base`, and `between` commits lie between the two."""
        some = [Commit(f"Commit {n}", {"step.txt": f"{n}\n"}) for n in range(between)]
        last = Commit("Result", result or {"change.txt": "changed\n"})
        write_origin(self.folder / "origin.git", [Commit("Base", base), *some, last])

    def change(self, result: Files) -> None:
        """Make another result from the base."""
        origin = GitFolder(self.folder / "origin.git")
        origin.git("update-ref", "refs/heads/main", origin.git("rev-list", "--max-parents=0", "main"))
        write_commits(origin.path, [Commit("Result", result)])

    def limit(self, **policy: Any) -> None:
        sandbox = replace(self.sandbox, policy=replace(self.sandbox.policy, **policy))
        self.preparation = replace(self.preparation, sandbox=sandbox)

    async def check(self, *, setup: Any = (), network: AgentNetwork | None = None, **given: Any) -> Seen:
        """Check by these definitions and the checks file; each of `checks` may be the text of a shell."""
        origin = GitFolder(self.folder / "origin.git")
        checks = given.pop("checks", [])
        if isinstance(checks, dict):
            texts = checks.items()
            checks = [{"id": key} | ({"shell": it} if isinstance(it, str) else it) for key, it in texts]
        steps = [{"shell": step} if isinstance(step, str) else step for step in setup]
        defined = DefinitionsIn.model_validate({"setup": steps, "checks": checks} | given).defined
        rules = NetworkRules(level=network or AgentNetwork.NONE, domains=["example.com"])
        preparation = replace(
            self.preparation,
            places=[(CheckSource.PROJECT, defined)],
            base=origin.git("rev-list", "--max-parents=0", "main"),
            run_network=rules,
        )
        source = Source(remote=Remote.parse(origin.url), depth=3)
        workspaces = Workspaces(self.folder / "workspaces", dict(os.environ), mirrors=self.mirrors)
        effects = _Effects(self.kept, self.outputs)
        async with workspaces.open(uuid.uuid4()) as workspace:
            await workspace.prepare(source, "work", author=Author())
            result = origin.git("rev-parse", "main")
            return Seen(await verify(workspace, source, result, preparation, effects), effects.log)


@dataclass
class _Effects:
    kept: dict[bytes, Execution]
    outputs: dict[str, bytes]
    log: list[JSON] = field(default_factory=list)

    async def emit(self, entry: JSON, /) -> None:
        self.log.append(entry["notification"]["params"])

    async def note(self, checked: Checked, running: PlacedCheck | None) -> None:
        pass

    async def store_output(self, check_id: str, part: str, output: bytes) -> str | None:
        self.outputs[f"{check_id}-{part}"] = output
        return f"{check_id}-{part}"

    async def find_base(self, key: bytes) -> Execution | None:
        return self.kept.get(key)

    async def keep_base(self, key: bytes, execution: Execution) -> None:
        self.kept[key] = execution
