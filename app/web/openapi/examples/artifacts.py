"""Files that go into runs and come out of them."""

from collections.abc import Mapping

from app.errors import ArtifactNotFound, StateRefused
from app.schemas.run_artifacts import InlineIn, PathIn, SignedUrlOut
from app.schemas.runs import ArtifactOut
from app.schemas.staged_artifacts import FinalizeIn, PreparedOut, PrepareIn
from app.web.openapi.examples.documents import PATCH, STORAGE, TASK_ID
from app.web.openapi.examples.operation import OperationExamples

__all__ = ["ARTIFACT_EXAMPLES"]

STAGED_ID = "9c1f2e3d4b5a69788796a5b4c3d2e1f0"
STAGED_PATH = f"tasks/artifacts/team_1/task_{TASK_ID}/staged/{STAGED_ID}/screenshot.png"
STAGED: ArtifactOut = {
    "id": STAGED_ID,
    "name": "screenshot.png",
    "type": "user_attachment",
    "source": "",
    "size": 48213,
    "content_type": "image/png",
    "storage_path": STAGED_PATH,
    "uploaded_at": "2026-03-01T09:59:30.250000+00:00",
}
PREPARED: PreparedOut = {
    "id": STAGED_ID,
    "name": "screenshot.png",
    "type": "user_attachment",
    "source": "",
    "size": 48213,
    "content_type": "image/png",
    "storage_path": STAGED_PATH,
    "expires_in": 3600,
    "presigned_post": {
        "url": "https://storage.example.com/taskbeacon",
        "fields": {"key": STAGED_PATH, "policy": "eyJl…", "x-amz-signature": "5d41…"},
    },
}
TO_PREPARE = {
    "artifacts": [
        {"name": "screenshot.png", "type": "user_attachment", "size": 48213, "content_type": "image/png"}
    ]
}
TO_FINALIZE = {
    "artifacts": [
        {
            "id": STAGED_ID,
            "name": "screenshot.png",
            "type": "user_attachment",
            "storage_path": STAGED_PATH,
            "content_type": "image/png",
        }
    ]
}
ON_RUN: ArtifactOut = {**STAGED, "storage_path": f"{STORAGE}/9c1f2e3d_screenshot.png"}
SIGNED_URL: SignedUrlOut = {
    "url": f"https://storage.example.com/taskbeacon/{PATCH['storage_path']}?X-Amz-Signature=…",
    "expires_in": 3600,
}
UPLOAD_REFUSALS = {
    "The file was not uploaded": StateRefused("Artifact upload not found in object storage"),
    "The file is too large": StateRefused("screenshot.png exceeds the 30MB attachment limit"),
}
NO_ARTIFACT = {"The run has no such file": ArtifactNotFound()}


ARTIFACT_EXAMPLES: Mapping[str, OperationExamples] = {
    "tasks_staged_artifacts_prepare_upload_create": OperationExamples(
        answer={"artifacts": [PREPARED]},
        bodies={"A screenshot": TO_PREPARE},
        refused=(PrepareIn, {"artifacts": [{"name": "a.png", "type": "user_attachment", "size": 0}]}),
        refusals={"The form cannot be signed": StateRefused("Unable to generate upload URL")},
    ),
    "tasks_staged_artifacts_finalize_upload_create": OperationExamples(
        answer={"artifacts": [STAGED]},
        bodies={"A screenshot": TO_FINALIZE},
        refused=(FinalizeIn, {"artifacts": []}),
        refusals={
            "The path is another task's": StateRefused("Artifact storage path is invalid for this task"),
            **UPLOAD_REFUSALS,
        },
    ),
    "tasks_runs_artifacts_create": OperationExamples(
        answer={"artifacts": [PATCH]},
        bodies={
            "A text file": {
                "artifacts": [
                    {
                        "name": "plan.md",
                        "type": "plan",
                        "content": "1. Say hello.",
                        "content_type": "text/markdown",
                    }
                ]
            },
            "A binary file": {
                "artifacts": [
                    {
                        "name": "dot.gif",
                        "type": "output",
                        "content": "R0lGODlhAQABAAAAACw=",
                        "content_encoding": "base64",
                        "content_type": "image/gif",
                    }
                ]
            },
        },
        refused=(InlineIn, {"artifacts": []}),
        refusals={"The run has too many files": StateRefused("A run has at most 1000 artifacts")},
    ),
    "tasks_runs_artifacts_prepare_upload_create": OperationExamples(
        answer={"artifacts": [{**PREPARED, "storage_path": ON_RUN["storage_path"]}]},
        bodies={"A screenshot": TO_PREPARE},
        refused=(PrepareIn, {"artifacts": "screenshot.png"}),
        refusals={"The form cannot be signed": StateRefused("Unable to generate upload URL")},
    ),
    "tasks_runs_artifacts_finalize_upload_create": OperationExamples(
        answer={"artifacts": [ON_RUN]},
        bodies={
            "A screenshot": {
                "artifacts": [{**TO_FINALIZE["artifacts"][0], "storage_path": ON_RUN["storage_path"]}]
            }
        },
        refused=(FinalizeIn, {"artifacts": []}),
        refusals={
            "The path is another run's": StateRefused("Artifact storage path is invalid for this run"),
            **UPLOAD_REFUSALS,
        },
    ),
    "tasks_runs_artifacts_presign_create": OperationExamples(
        answer=SIGNED_URL,
        bodies={"The patch": {"storage_path": PATCH["storage_path"]}},
        refused=(PathIn, {}),
        refusals=NO_ARTIFACT,
    ),
    "tasks_runs_artifacts_download_create": OperationExamples(
        bodies={"The patch": {"storage_path": PATCH["storage_path"]}},
        refused=(PathIn, {}),
        refusals=NO_ARTIFACT,
    ),
    "tasks_runs_artifacts_download_retrieve": OperationExamples(refused=(PathIn, {}), refusals=NO_ARTIFACT),
}
