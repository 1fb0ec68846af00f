"""The inputs and the results of the checks of a run's work."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.agents.network.network_access import NetworkRules
from app.agents.sandbox.confinement import Sandbox
from app.enums import CheckCause, CheckSource
from app.json_types import JsonDict
from app.schemas.runs.verifications import SetupStepOut
from app.verdicts.definitions import CheckSet, Definitions, PlacedCheck
from app.verdicts.judgement import CheckResult, Execution, JudgedCheck, judge_check, needs_execution

# Where commands find programs, unless a variable says otherwise.
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is defined for a run outside its repository, and the sandbox, networks and caches that set up its clones."""

    places: Sequence[tuple[CheckSource, CheckSet]] = ()
    finds: bool = False  # whether to list the checks that the repository suggests if no others are defined
    base: str | None = None  # the commit with the checks file; None: the commit at which the run begins
    # The definitions with which the run began. None: unite those of the places and of the checks file.
    definitions: Definitions | None = None
    sandbox: Sandbox
    # The network of set-up, and the network of the run, which is for checks that ask for it.
    setup_network: NetworkRules
    run_network: NetworkRules
    # Secret variables for set-up and checks, in addition to the usual ones.
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    # The folder of this repository's caches. None: set-up uses no cache.
    caches: Path | None = None
    caches_bytes: int = 0

    def tool_chain(self) -> list[object]:
        """Return a value that changes when a program on the PATH of commands is added, replaced or removed."""
        folders = filter(os.path.isdir, self.variables.get("PATH", PATH).split(":"))
        return [self.sandbox.kind, *(Path(folder).stat().st_mtime_ns for folder in folders)]


@dataclass(slots=True, kw_only=True)
class Checked:
    """The results of one attempt of a verification, so far."""

    definitions: Definitions
    checks: list[CheckResult]
    changed: Sequence[str] = ()  # files of the diff
    setup: list[SetupStepOut] = field(default_factory=list)
    changed_tests: list[str] = field(default_factory=list)
    protected_changed: list[str] = field(default_factory=list)

    def fill(self, cause: CheckCause, fault: str | None = None) -> None:
        """Store why checks were not executed or not repeated, in each that still needs an execution."""
        for each in self.checks:
            if needs_execution(each):
                each.executions.append(Execution(cause=cause, fault=fault))

    def judge(self) -> list[JudgedCheck]:
        is_tampered = bool(self.protected_changed)
        return [judge_check(each, is_tampered=is_tampered) for each in self.checks]


class CheckEffects(Protocol):
    """How an attempt acts outside its workspace."""

    async def emit(self, entry: JsonDict, /) -> None: ...

    async def note(self, checked: Checked, running: PlacedCheck | None) -> None:
        """Note the results so far, when the check `running` begins or one has a new execution."""

    async def store_output(self, check_id: str, part: str, output: bytes) -> str | None:
        """Store the output of an execution, `part` of the attempt; return the id of its file, None if there is none."""

    # Keep the execution of a check on the base, for later attempts and runs with the same base.
    async def find_base(self, key: bytes) -> Execution | None: ...
    async def keep_base(self, key: bytes, execution: Execution) -> None: ...
