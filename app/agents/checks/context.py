"""What decides how the work of a run is set up and checked, and what was seen of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from app.agents.git.fetch import Source
from app.agents.git.mirrors import Mirrors
from app.agents.network.network import NetworkRules
from app.agents.sandbox.sandbox import Sandbox
from app.agents.session.transcript import Emit
from app.agents.workspace.folders import FolderRemover
from app.enums import CheckCause, CheckSource, StepStatus
from app.verification.definitions import CheckSet, Definitions, PlacedCheck
from app.verification.judgement import Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How clones are prepared: with which network, variables and caches."""

    sandbox: Sandbox
    # Of set-up, and of the run, for checks that ask for it.
    setup_network: NetworkRules
    run_network: NetworkRules
    # For set-up and checks, beside the usual ones; secret.
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Kept results of set-up, of this repository alone. None: none are kept.
    caches: Path | None = None
    caches_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """What the places outside the repository define for a run, and how its clones are prepared."""

    places: Sequence[tuple[CheckSource, CheckSet]] = ()
    preparation: Preparation | None = None  # None: no clone is prepared
    finds: bool = False  # whether checks that the repository suggests are listed, if there are no others
    base: str | None = None  # the commit with the checks file, if a run continues work; None: where it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspaces:
    """Where workspaces are made, and from what."""

    root: Path
    remover: FolderRemover | None = None
    hidden: Sequence[Path] = ()
    mirrors: Mirrors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """All that decides one attempt to check a commit."""

    run_id: UUID
    source: Source
    push_branch: str
    commit: str
    defined: Defined
    definitions: Definitions | None  # None: what is defined now, and the checks file, decide
    workspaces: Workspaces
    environment: Mapping[str, str]  # of the worker
    seconds: float

    @property
    def preparation(self) -> Preparation:
        assert self.defined.preparation is not None
        return self.defined.preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """One execution of a check, and what people see of it."""

    execution: Execution
    duration_ms: int
    output: bytes = field(default=b"", repr=False)  # masked

    @property
    def tail(self) -> str:
        """The end of its output."""
        return self.output[-4096:].decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformedStep:
    """One set-up step of a clone."""

    index: int
    command: str
    status: StepStatus
    duration_ms: int
    tail: str = ""


@dataclass(slots=True, kw_only=True)
class CheckedCheck:
    """What was seen of a check so far: its executions on the result, and the one on the base."""

    placed: PlacedCheck
    applies: bool = True  # whether the diff needs it
    executions: list[Performed] = field(default_factory=list)
    base: Execution | None = None
    is_base_kept: bool = False
    old_tests: Execution | None = None


@dataclass(slots=True, kw_only=True)
class Checked:
    """What was seen in one attempt."""

    definitions: Definitions
    checks: list[CheckedCheck]
    changed: Sequence[str] = ()  # files of the diff
    setup: list[PerformedStep] = field(default_factory=list)
    changed_tests: list[str] = field(default_factory=list)
    protected_changed: list[str] = field(default_factory=list)

    def fill(self, cause: CheckCause) -> None:
        """Note for each check that was not executed why; one that does not apply stays without."""
        for each in self.checks:
            if not each.executions and each.applies:
                each.executions.append(Performed(execution=Execution(cause=cause), duration_ms=0))


# The kept execution of a check on the base by its key, and what keeps one.
FindBase = Callable[[bytes], Awaitable[Execution | None]]
KeepBase = Callable[[bytes, Execution], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEffects:
    """How an attempt acts outside its workspace."""

    emit: Emit
    # Called when a check begins or has a new execution.
    note: Callable[[Checked, PlacedCheck | None], Awaitable[None]]
    find_base: FindBase
    keep_base: KeepBase
