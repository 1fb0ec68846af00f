"""Read failed checks from GitHub's webhook events, by pure functions.

Payloads are untrusted: every field may have any value.
"""

from typing import Any

from app.services.runs.follow_ups import FailedCheck

BRANCH_PREFIX = "taskbeacon/"
_EVENTS = ("check_suite", "workflow_run")
_FAILURES = frozenset({"failure", "timed_out"})
_LONGEST = 255
_NAME_LENGTH = 100


def read_failed_check(event: str, payload: Any, integration_id: int | None = None) -> FailedCheck | None:
    """Return the failed check that a GitHub event reports for a branch that this service pushed.

    Return None if the event reports no failed check, or the check is of another branch or of a branch in a fork.
    """
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
        repository=name,
        branch=branch,
        head_sha=head_sha,
        name=" ".join(label.split())[:_NAME_LENGTH],
        integration_id=integration_id,
    )


def _object(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: dict[str, Any], key: str) -> str:
    value = parent.get(key)
    if not isinstance(value, str) or len(value) > _LONGEST or "\x00" in value:
        return ""
    # Lone surrogates cannot be stored either.
    return value if value.isprintable() else ""
