"""Routes of the files of a run (contract 6.4)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.clients.storage.storage_keys import RunRef
from app.json_types import JsonDict
from app.schemas.errors import StateRefusedOut
from app.schemas.runs.artifacts import DismissIn, InlineIn, PathIn, RunArtifactsOut, SignedUrlOut
from app.schemas.staged_artifacts import FinalizeIn, PreparedPage, PrepareIn
from app.services.artifacts.manifest import RunManifest
from app.web.auth import TaskRead, TaskWrite
from app.web.body import Body
from app.web.dependencies import RUN_URL, ArtifactId, Call, RunId, TaskId
from app.web.openapi.errors import refused
from app.web.responses import SecretJson, StoredFile
from app.web.unit_route import UnitRoute

router = APIRouter(prefix=f"{RUN_URL}/artifacts", tags=["artifacts"], route_class=UnitRoute)


_WRITE_ERRORS = refused(StateRefusedOut)
# A file is sent with its stored media type.
_ANY_TYPE = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_FILE: dict[int | str, JsonDict] = {
    200: {
        "description": "The content of the file; `Content-Disposition` gives its name.",
        "content": _ANY_TYPE,
    },
    206: {"description": "The part of the file that `Range` requests.", "content": _ANY_TYPE},
    416: {"description": "The requested `Range` begins after the end of the file."},
}


def _files(call: Call, task_id: UUID, run_id: UUID) -> RunManifest:
    run = RunRef(call.caller.project.id, task_id, run_id)
    return RunManifest(call.session, call.caller, run, call.process.store)


@router.post(
    "",
    summary="Upload small files to a run",
    responses=_WRITE_ERRORS,
)
async def add_inline(
    call: TaskWrite, body: Body[InlineIn], task_id: TaskId, run_id: RunId
) -> RunArtifactsOut:
    """Add files to the run, with their contents in the request's body, and return all files of the run.

    For larger files, use `prepare_upload`.
    """
    return {"artifacts": await _files(call, task_id, run_id).add_inline(body)}


@router.post(
    "/prepare_upload",
    summary="Prepare uploads to a run",
    responses=_WRITE_ERRORS,
)
async def prepare_upload(
    call: TaskWrite, body: Body[PrepareIn], task_id: TaskId, run_id: RunId
) -> SecretJson[PreparedPage]:
    """Return a signed form for each file. The client uploads the file with it to object storage within an hour."""
    return SecretJson({"artifacts": await _files(call, task_id, run_id).prepare_uploads(body)})


@router.post(
    "/finalize_upload",
    summary="Finalise uploads to a run",
    responses=_WRITE_ERRORS,
)
async def finalize_upload(
    call: TaskWrite, body: Body[FinalizeIn], task_id: TaskId, run_id: RunId
) -> RunArtifactsOut:
    """Verify the uploaded files and add them to the run: all of them, or none.

    If the request is repeated, no file is added twice.
    """
    return {"artifacts": await _files(call, task_id, run_id).finalize_uploads(body)}


@router.post(
    "/presign",
    summary="Get a download URL of a file",
    responses=refused(StateRefusedOut, status=404),
)
async def presign(
    call: TaskRead, body: Body[PathIn], task_id: TaskId, run_id: RunId
) -> SecretJson[SignedUrlOut]:
    """Return a URL from which a file of the run can be downloaded without an API key. The URL is valid for an hour."""
    return SecretJson(await _files(call, task_id, run_id).presign_download(body.storage_path))


@router.post(
    "/download",
    summary="Download a file (path in the body)",
    # Without it, OpenAPI would find no status: the class takes none.
    status_code=200,
    response_class=StoredFile,
    responses=_FILE | refused(StateRefusedOut, status=404),
)
async def download(
    request: Request, call: TaskRead, body: Body[PathIn], task_id: TaskId, run_id: RunId
) -> StoredFile:
    """Return a file of the run, or of a run that it resumes. `Range` and `If-Range` are supported."""
    file = await _files(call, task_id, run_id).find_download(body.storage_path)
    return StoredFile(request, call.process.store, file)


@router.get(
    "/download",
    summary="Download a file (path in the query)",
    # Without it, OpenAPI would find no status: the class takes none.
    status_code=200,
    response_class=StoredFile,
    responses=_FILE | refused(StateRefusedOut, status=404),
)
async def download_by_query(
    request: Request, call: TaskRead, query: Annotated[PathIn, Query()], task_id: TaskId, run_id: RunId
) -> StoredFile:
    """Return a file of the run, or of a run that it resumes. `Range` and `If-Range` are supported."""
    file = await _files(call, task_id, run_id).find_download(query.storage_path)
    return StoredFile(request, call.process.store, file)


@router.get(
    "/{artifact_id}/download",
    operation_id="tasks_runs_artifacts_download_by_id_retrieve",
    summary="Download a file (by its id)",
    status_code=302,
    response_class=Response,
    responses={
        302: {
            "description": "The file is at the URL in `Location`, which is valid for an hour without an API key.",
            "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
        }
    },
)
async def download_by_id(call: TaskRead, task_id: TaskId, run_id: RunId, artifact_id: ArtifactId) -> Response:
    """Redirect to a file of the run in object storage. Dismissed files can be downloaded too."""
    location = await _files(call, task_id, run_id).sign_download(artifact_id)
    return Response(status_code=302, headers={"Location": location, "Cache-Control": "no-store"})


@router.post(
    "/dismiss",
    summary="Dismiss files of a run",
    responses=refused(StateRefusedOut, status=404),
)
async def dismiss(call: TaskWrite, body: Body[DismissIn], task_id: TaskId, run_id: RunId) -> RunArtifactsOut:
    """Mark files of the run as dismissed, or bring them back with `dismissed: false`: all of them, or none.

    Nothing is deleted. A file that is dismissed again keeps its `dismissed_at`.
    """
    return {"artifacts": await _files(call, task_id, run_id).dismiss(body)}
