"""Bodies that upload files of a run, or request them by path (contract 6.4)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import TypedDict, override

from app.json_types import JsonDict
from app.schemas.base import ApiPath, Input, doc
from app.schemas.fields import Boolean, Choice, Items, Text, fail
from app.schemas.fields import Field as InputField
from app.schemas.staged_artifacts import (
    EXAMPLE_ID,
    EXAMPLE_PATH,
    ArtifactItems,
    ArtifactOut,
    ContentType,
    Name,
    Source,
    StoragePath,
    Type,
)

_RUN = "https://tasks.example.com/api/projects/1/tasks/019ca8a6/runs/019ca8a7"
_MOST_DISMISSED = 100


class ContentEncoding(StrEnum):
    """The encoding of a file's content as a JSON string."""

    UTF_8 = "utf-8"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(InputField):
    """A field that takes the content of a file as a string. Blanks at its beginning and end are kept."""

    schema: ClassVar = {"type": "string"}

    @override
    def parse(self, value: object) -> str:
        if not isinstance(value, str):
            raise fail("invalid_input", "Not a valid string.")
        return value


class InlineItem(Input):
    """A file to store on a run, with its content."""

    name: Name
    type: Type
    source: Source = ""
    content: Annotated[str, Content(), doc("The file, encoded by `content_encoding`.")]
    content_encoding: Annotated[
        ContentEncoding, Choice(of=ContentEncoding), doc("`base64` for binary files. Default: `utf-8`.")
    ] = ContentEncoding.UTF_8
    content_type: ContentType = None


class InlineIn(Input):
    """Files to store on a run: all of them are stored, or none. For larger files prepare an upload."""

    examples: ClassVar = {
        "A text file": {"artifacts": [{"name": "plan.md", "type": "plan", "content": "1. Say hello."}]},
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
    }

    artifacts: Annotated[list[InlineItem], ArtifactItems(), doc("Files, each with its content.")]


class PathIn(Input):
    """A request for one file of a run, by its `storage_path`."""

    examples: ClassVar = {"A file of the run": EXAMPLE_PATH}

    storage_path: StoragePath


class DismissIn(Input):
    """A request to dismiss files of a run, or to bring them back; all of the named files, or none."""

    examples: ClassVar = {"Dismiss a file": {"artifact_ids": [EXAMPLE_ID]}}

    artifact_ids: Annotated[
        list[Annotated[str, Text(max_length=128)]],
        Items(max_length=_MOST_DISMISSED, empty=False),
        doc("Ids of files of the run."),
    ]
    dismissed: Annotated[bool, Boolean(), doc("False brings the files back. Default: true.")] = True


Uploader = Literal["agent", "user"]


class ManifestEntry(ArtifactOut, total=False):
    """A file of a run as the run's manifest stores it. Entries of earlier releases have none of these keys."""

    uploaded_by: Uploader
    uploaded_by_user_id: int | None
    # In the format of ISO 8601; absent unless the file is dismissed.
    dismissed_at: str


class RunArtifactOut(ArtifactOut):
    """A stored file of a run."""

    url: Annotated[
        ApiPath | None,
        Field(
            description="URL of this API that leads to the file, with an API key. Null in webhooks.",
            json_schema_extra={"format": "uri"},
            examples=[f"{_RUN}/artifacts/{EXAMPLE_ID}/download"],
        ),
    ]
    uploaded_by: Annotated[
        Uploader, doc("`agent`: the run brought it; `user`: a client uploaded it.", "agent")
    ]
    uploaded_by_user_id: Annotated[int | None, doc("User that uploaded it; null: unknown, or the agent.")]
    dismissed_at: Annotated[datetime | None, doc("When people dismissed the file; null: they did not.")]
    metadata: Annotated[JsonDict | None, doc("Always null.")]


class RunArtifactsOut(TypedDict):
    """Stored files of a run."""

    artifacts: list[RunArtifactOut]


class SignedUrlOut(TypedDict):
    """A URL from which a file can be downloaded without an API key."""

    url: Annotated[
        str, Field(examples=["https://storage.example.com/taskbeacon/changes.patch?X-Amz-Signature=…"])
    ]
    expires_in: Annotated[int, doc("Seconds for which the URL is valid.", 3600)]
