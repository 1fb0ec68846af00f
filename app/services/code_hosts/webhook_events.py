"""Pure: reads GitHub's events about failed checks. Payloads are untrusted: every field may be anything."""

from dataclasses import dataclass
from typing import Any

BRANCH_PREFIX = "taskbeacon/"
_EVENTS = ("check_suite", "workflow_run")
_FAILURES = frozenset({"failure", "timed_out"})
_LONGEST = 255
_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCheck:
    """A failed check of one of our branches."""

    repository: str  # lower case
    branch: str
    head_sha: str
    name: str


def read_failed_check(event: str, payload: Any) -> FailedCheck | None:
    """Return the failure that an event reports; None for any other event, also for a branch of a fork."""
    if event not in _EVENTS or not isinstance(payload, dict) or payload.get("action") != "completed":
        return None
    check, repository = _object(payload, event), _object(payload, "repository")
    name = _text(repository, "full_name").lower()
    if _text(check, "conclusion") not in _FAILURES or not name:
        return None
    # Only workflow runs name the repository of the branch; check suites of forks have no branch.
    home = _object(check, "head_repository")
    if home and _text(home, "full_name").lower() != name:
        return None
    branch, head_sha = _text(check, "head_branch"), _text(check, "head_sha")
    if not branch.startswith(BRANCH_PREFIX) or not head_sha:
        return None
    label = _text(check, "name") or _text(_object(check, "app"), "name") or event
    return FailedCheck(
        repository=name, branch=branch, head_sha=head_sha, name=" ".join(label.split())[:_NAME_LENGTH]
    )


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], key: str) -> str:
    """Return a text that a column can store, "" for anything else."""
    value = parent.get(key)
    if not isinstance(value, str) or len(value) > _LONGEST or "\x00" in value:
        return ""
    # Lone surrogates cannot be stored either.
    return value if value.isprintable() else ""
