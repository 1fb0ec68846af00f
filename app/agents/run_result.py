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
    head_branch: str | None  # with the work, also of the runs that it continues; None: there is none
    head_sha: str | None
    base: WorkBase
    files_changed: list[str]
    patch: bytes
    texts: Mapping[str, str] = field(default_factory=dict)  # of the changed files, as the work found them
    whole: WholeBranch | None = None  # None: it continues no branch
    definitions: Definitions | None = None  # what it is to be checked by
    worked: timedelta = timedelta()  # without waiting for people
    claims: tuple[AgentClaim, ...] = ()  # what the agent has reported of it; masked
    left_out: str = ""  # the parts of the work that could not be kept, or are not in the patch

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
