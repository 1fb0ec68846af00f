"""The result of a run, complete or failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple, Self

from app.agents.masking import Masker
from app.verdicts.agent_claims import AgentClaim
from app.verdicts.definitions import Definitions


class WorkBase(NamedTuple):
    branch: str | None = None
    sha: str | None = None


class WholeBranch(NamedTuple):
    """All changes of the branch that a run continues, since the first run on it, and the files as they were then."""

    patch: bytes
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The work of a run: structured output, summary, patch and changed files, and the pushed branch."""

    structured: object | None  # None if the agent left none
    summary: str
    head_branch: str | None  # has the work, with that of the runs that it continues; None without a branch
    head_sha: str | None
    base: WorkBase
    files_changed: list[str]
    patch: bytes
    texts: Mapping[str, str] = field(default_factory=dict)  # of the changed files, before the changes
    whole: WholeBranch | None = None  # None if the run does not continue a branch
    definitions: Definitions | None = None  # of the checks of the work
    worked: timedelta = timedelta()  # without the time in which the agent waited for people
    claims: tuple[AgentClaim, ...] = ()  # that the agent has made about it; masked
    left_out: str = ""  # says which parts of the work could not be kept, or are not in the patch

    @property
    def base_branch(self) -> str | None:
        return self.base.branch

    def mask(self, masker: Masker) -> Self:
        """Return a copy with secrets masked, but for the patch, which could not be applied any more."""
        return replace(
            self,
            summary=masker.text(self.summary),
            left_out=masker.text(self.left_out),
            structured=masker.value(self.structured),
            files_changed=masker.value(self.files_changed),
        )
