"""The result of a run, also of one that failed."""

from dataclasses import dataclass, replace
from typing import Any, Self  # Any: JSON

from app.masking import Masker


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The work of a run."""

    structured: Any | None  # None also if the agent gave none
    summary: str
    head_branch: str | None  # None: nothing was pushed
    head_sha: str | None
    base_branch: str | None = None  # what the work is to go into
    files_changed: list[str]
    patch: bytes
    patch_truncated: bool
    left_out: str = ""  # what of the agent's work could not be kept, or is not in the patch

    def masked(self, masker: Masker) -> Self:
        """Return the result without the secrets that its agent knew. The patch is as it is, or it would not apply."""
        return replace(
            self,
            summary=masker.text(self.summary),
            left_out=masker.text(self.left_out),
            structured=masker.value(self.structured),
            files_changed=masker.value(self.files_changed),
        )
