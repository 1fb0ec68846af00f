"""The manifest of a run: files that belong to it (contract 3.4, 8.1)."""

from uuid import UUID

from app.clients.object_store import ObjectStore
from app.clock import utcnow
from app.enums import ArtifactType
from app.ids import new_hex_id
from app.schemas.runs import ArtifactOut
from app.services.artifact_rules import run_artifact_key, safe_name

__all__ = ["store_run_artifact"]

_TAGS = {"ttl_days": "30"}


async def store_run_artifact(
    store: ObjectStore,
    *,
    project_id: int,
    task_id: UUID,
    run_id: UUID,
    name: str,
    content: bytes,
    content_type: str,
    type_: ArtifactType,
    source: str,
) -> ArtifactOut:
    """Store a file and return its entry for the run's manifest; the caller writes the entry.

    Raises:
        ObjectStoreUnavailable: the store did not answer.

    """
    artifact_id = new_hex_id()
    key = run_artifact_key(project_id, task_id, run_id, artifact_id=artifact_id, name=name)
    await store.put(key, content, content_type=content_type, tags=_TAGS)
    return {
        "id": artifact_id,
        "name": safe_name(name),
        "type": type_,
        "source": source,
        "size": len(content),
        "content_type": content_type,
        "storage_path": key,
        "uploaded_at": utcnow().isoformat(),
    }
