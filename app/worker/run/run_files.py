"""Moves files between the object store and a worker: fetches attachments, stores artifacts of a run."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from app.agents.errors import AgentError
from app.agents.files.attachments import Attachment
from app.agents.run_result import RunResult
from app.agents.workspace.folders import FolderRemover, open_folder
from app.api_limits import FILE_BYTES
from app.clients.storage.bucket import KEPT_DAYS
from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import ObjectMissing, ObjectStoreUnavailable
from app.clients.storage.storage_keys import RunRef, safe_name
from app.enums import ArtifactType, RunReason
from app.schemas.staged_artifacts import ArtifactOut
from app.services.artifacts.artifact_uploads import guess_content_type, tag_objects, tags
from app.services.artifacts.diff import PATCH_NAME
from app.services.artifacts.live_diff import pack_texts
from app.services.artifacts.manifest import NewArtifact, store_run_artifact
from app.services.retrying.policies import ATTACHMENT
from app.services.retrying.retries import RetryBudget
from app.tracing.spans import traced
from app.worker.run.store_retry import StoreRetryBudget

_SOURCE = "agent"

log = structlog.get_logger(__name__)


class AttachmentUnavailable(AgentError):
    """A file attached to a run cannot be fetched. The run fails, because the agent would work without the file."""

    reason = RunReason.ATTACHMENT_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Exchange:
    """The local folders and files that carry data into a run and out of it, outside of the agent's workspace."""

    attachments: Path
    outbox: Path
    # The agent's stored conversation (app/agents/workspace/kept_session.py).
    session: Path
    # The local file of the log (log_recorder.py).
    log: Path


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """The files of a run that are in the object store, and the names of the files that could not be stored."""

    artifacts: tuple[ArtifactOut, ...] = ()
    missing: tuple[str, ...] = ()


@asynccontextmanager
async def open_exchange(root: Path, run_id: UUID, remover: FolderRemover) -> AsyncGenerator[Exchange, None]:
    """Yield the folders of an `Exchange` for a run below `root`, which `remover` deletes after the block."""
    async with open_folder(root, run_id, remover) as place:
        exchange = Exchange(
            place / "attachments",
            place / "outbox",
            session=place / "session.json.gz",
            log=place / "log.jsonl",
        )
        exchange.attachments.mkdir()
        exchange.outbox.mkdir()
        yield exchange


async def fetch_attachments(
    store: ObjectStore, artifacts: Sequence[ArtifactOut], folder: Path, *, project_id: int
) -> list[Attachment]:
    attachments = [await _fetch_patiently(store, artifact, folder) for artifact in artifacts]
    paths = [artifact["storage_path"] for artifact in artifacts]
    # Tagged here, since the request that attached the files did not wait for the store.
    await tag_objects(store, paths, tags(KEPT_DAYS, project_id))
    return attachments


async def _fetch_patiently(store: ObjectStore, artifact: ArtifactOut, folder: Path) -> Attachment:
    try:
        return await RetryBudget(ATTACHMENT).call(partial(_fetch, store, artifact, folder))
    except ObjectStoreUnavailable as error:
        raise AttachmentUnavailable(
            f"The attached file {artifact['name']} cannot be read: the object store does not answer. "
            "Start the run again."
        ) from error


async def _fetch(store: ObjectStore, artifact: ArtifactOut, folder: Path) -> Attachment:
    name, path, size = safe_name(artifact["name"]), folder / artifact["id"], 0
    try:
        async with store.open(artifact["storage_path"]) as content:
            with path.open("wb") as file:
                async for chunk in content.chunks:
                    size += file.write(chunk)
                    if size > FILE_BYTES:
                        # The file was replaced after the check of its size, by an upload form that was still valid.
                        raise AttachmentUnavailable(f"The attached file {name} is larger than it may be.")
    except ObjectMissing:
        raise AttachmentUnavailable(f"The attached file {name} does not exist any more.") from None
    return Attachment(artifact["id"], name, artifact["content_type"], size, path)


async def store_texts(store: ObjectStore, result: RunResult, *, ref: RunRef, retry: StoreRetryBudget) -> None:
    """Store the changed files as before the run, to show the lines around its changes, and the patch of the branch."""
    files = {ref.texts_key: await asyncio.to_thread(pack_texts, result.texts)} if result.texts else {}
    if (whole := result.whole) is not None:
        # The texts come first: the patch is also shown without them.
        patch_key, texts_key = ref.whole_keys
        files |= {texts_key: await asyncio.to_thread(pack_texts, whole.texts), patch_key: whole.patch}
    tagged = tags(KEPT_DAYS, ref.project_id)
    for key, content in files.items():
        put = partial(store.put, key, content, content_type="application/octet-stream", tags=tagged)
        try:
            await retry.call(put)
        except Exception as error:  # noqa: BLE001 - changes are shown without these
            log.warning("texts.not_stored", error=repr(error))


@traced("run.store")
async def store_artifacts(
    store: ObjectStore, outbox: Path, patch: bytes, *, ref: RunRef, retry: StoreRetryBudget
) -> StoredFiles:
    """Store the files of `outbox` and the patch as artifacts; the result names those that could not be stored."""
    files: list[NewArtifact] = []
    for path in sorted(outbox.glob("*/*")):  # noqa: ASYNC240 - a local folder of bounded size
        # File names are bytes. In a name that is not valid text, the invalid bytes are replaced.
        name = path.name.encode(errors="surrogateescape").decode(errors="replace")
        files.append(NewArtifact(name, path, guess_content_type(name), ArtifactType.ARTIFACT, _SOURCE))
    if patch:
        files.append(NewArtifact(PATCH_NAME, patch, "text/x-patch", ArtifactType.OUTPUT, _SOURCE))
    stored: list[ArtifactOut] = []
    missing: list[str] = []
    for file in files:
        try:
            stored.append(await retry.call(partial(store_run_artifact, store, ref, file)))
        except Exception as error:
            # The failure of one file must not lose the others.
            is_outage = isinstance(error, ObjectStoreUnavailable)
            log.warning("artifact.not_stored", name=file.name, error=repr(error), exc_info=not is_outage)
            missing.append(file.name)
    return StoredFiles(tuple(stored), tuple(missing))
