"""Pure rules about files: what they are called and under which keys they are stored (contract 8.1)."""

from uuid import UUID

__all__ = ["log_key", "run_artifact_key", "safe_name"]

_FALLBACK_NAME = "artifact"
_MAX_NAME_LENGTH = 255
_SHORT_ID_LENGTH = 8


def safe_name(name: str) -> str:
    """Return the last segment of a name as it may stand in a key and on the wire (contract 8.1)."""
    segment = name.rpartition("/")[2].strip()
    if segment in {"", ".", ".."}:
        return _FALLBACK_NAME
    return segment[:_MAX_NAME_LENGTH]


def log_key(project_id: int, task_id: UUID, run_id: UUID) -> str:
    """Return the key of a run's log, one JSON object a line."""
    return f"tasks/logs/team_{project_id}/task_{task_id}/run_{run_id}.jsonl"


def run_artifact_key(project_id: int, task_id: UUID, run_id: UUID, *, artifact_id: str, name: str) -> str:
    """Return the key of an artifact that belongs to a run."""
    folder = f"tasks/artifacts/team_{project_id}/task_{task_id}/run_{run_id}"
    return f"{folder}/{artifact_id[:_SHORT_ID_LENGTH]}_{safe_name(name)}"
