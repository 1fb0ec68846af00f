"""The files of a run on the worker's side: attachments from the store to a folder, artifacts from a folder to it."""

import asyncio
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from app.agents.errors import AgentError
from app.agents.files import Attachment
from app.clients.object_store import KEPT_DAYS, ObjectMissing, ObjectStore, ObjectStoreUnavailable
from app.enums import ArtifactType
from app.schemas.runs import ArtifactOut
from app.schemas.staged_artifacts import MAX_BYTES
from app.services.artifact_rules import guess_content_type, safe_name, tags
from app.services.artifact_uploads import tag_objects
from app.services.run_artifacts import store_run_artifact

__all__ = ["AttachmentUnavailable", "Exchange", "fetch_attachments", "open_exchange", "store_artifacts"]

_PAUSES_SECONDS = (1, 2, 4, 8)
_SOURCE = "agent"

log = structlog.get_logger(__name__)


class AttachmentUnavailable(AgentError):
    """A file that people attached cannot be given to the agent, which would work on half of what was asked."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Folders of one run, outside its workspace."""

    inbox: Path
    outbox: Path
    # What the agent keeps of its conversation (run_sessions.py).
    session: Path


@contextmanager
def open_exchange() -> Generator[Exchange, None, None]:
    """Yield empty folders; they are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="taskbeacon-files-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        exchange = Exchange(inbox=place / "inbox", outbox=place / "outbox", session=place / "session.json.gz")
        exchange.inbox.mkdir()
        exchange.outbox.mkdir()
        yield exchange


async def fetch_attachments(
    store: ObjectStore, artifacts: Sequence[ArtifactOut], inbox: Path, *, project_id: int
) -> list[Attachment]:
    """Copy the attached files from the store, and make sure that it keeps them. An outage is waited for shortly.

    Raises:
        AttachmentUnavailable: a file is gone or too large, or the store stayed away.

    """
    attachments = [await _fetch_patiently(store, artifact, inbox) for artifact in artifacts]
    paths = [artifact["storage_path"] for artifact in artifacts]
    # The request that attached them could not wait for the store to do it.
    await tag_objects(store, paths, tags(KEPT_DAYS, project_id))
    return attachments


async def _fetch_patiently(store: ObjectStore, artifact: ArtifactOut, inbox: Path) -> Attachment:
    for pause in _PAUSES_SECONDS:
        try:
            return await _fetch(store, artifact, inbox)
        except ObjectStoreUnavailable as error:
            log.warning("attachment.not_fetched", retry_in_seconds=pause, error=repr(error))
            await asyncio.sleep(pause)
    try:
        return await _fetch(store, artifact, inbox)
    except ObjectStoreUnavailable as error:
        raise AttachmentUnavailable(
            f"The attached file {artifact['name']} cannot be read: the object store does not answer. "
            "Start the run again."
        ) from error


async def _fetch(store: ObjectStore, artifact: ArtifactOut, inbox: Path) -> Attachment:
    name, path, size = safe_name(artifact["name"]), inbox / artifact["id"], 0
    try:
        async with store.open(artifact["storage_path"]) as content:
            with path.open("wb") as file:
                async for chunk in content.chunks:
                    size += file.write(chunk)
                    if size > MAX_BYTES:
                        # Replaced after it was measured, by the form that was still valid.
                        raise AttachmentUnavailable(f"The attached file {name} is larger than it may be.")
    except ObjectMissing:
        raise AttachmentUnavailable(f"The attached file {name} does not exist any more.") from None
    return Attachment(artifact["id"], name, artifact["content_type"], size, path)


async def store_artifacts(
    store: ObjectStore, outbox: Path, *, project_id: int, task_id: UUID, run_id: UUID
) -> list[ArtifactOut]:
    """Store what the agent handed over and return the entries; a file that the store does not take is left out."""
    stored = []
    for path in sorted(outbox.glob("*/*")):  # noqa: ASYNC240 - a local folder of bounded size
        # Names of files are bytes; those that are no text keep what can be read of them.
        name = path.name.encode(errors="surrogateescape").decode(errors="replace")
        try:
            entry = await store_run_artifact(
                store,
                project_id=project_id,
                task_id=task_id,
                run_id=run_id,
                name=name,
                content=path,
                content_type=guess_content_type(name),
                type_=ArtifactType.ARTIFACT,
                source=_SOURCE,
            )
        except ObjectStoreUnavailable as error:
            log.warning("artifact.not_stored", name=name, error=repr(error))
        else:
            stored.append(entry)
    return stored
