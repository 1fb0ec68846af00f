"""Bodies that prepare and finalise uploads of files, for a run or its next one (contract 5.9, 6.1)."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict, override

from app.api_limits import FILE_BYTES
from app.enums import ArtifactType
from app.schemas.base import Input, doc
from app.schemas.fields import Choice, Integer, Items, Text, fail

_MAX_ITEMS = 100

Name = Annotated[
    str, Text(max_length=255), doc("File name; everything up to its last `/` is dropped.", "screenshot.png")
]
Type = Annotated[ArtifactType, Choice(of=ArtifactType), doc("The role of the file in the run.")]
Source = Annotated[str, Text(max_length=64, blank=True), doc("The origin of the file, for people.")]
ContentType = Annotated[
    str | None, Text(max_length=255, blank_is_absent=True), doc("Media type of the file.", "image/png")
]
StoragePath = Annotated[str, Text(max_length=500), doc("The `storage_path` of the file.")]


EXAMPLE_ID = "4b6f0c1d2e3f4a5b8c9d0e1f2a3b4c5d"
_FILE = {"name": "screenshot.png", "type": "user_attachment", "content_type": "image/png"}
EXAMPLE_PATH = {"storage_path": "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_screenshot.png"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactItems(Items):
    """A field that takes a list of artifacts. Its error text for an empty list differs from that of other lists."""

    max_length: int = _MAX_ITEMS
    empty: bool = False

    @override
    def parse(self, value: object) -> Any:
        if value == []:
            raise fail("invalid_input", "At least one artifact is required")
        if not isinstance(value, list):
            # A list of objects reports its own error as the error of a nested field (contract 2.4).
            text = f'Expected a list of items but got type "{type(value).__name__}".'
            raise fail("not_a_list", text, "non_field_errors")
        return Items.parse(self, value)  # `super()` does not work in a class with slots


class _FileOut(TypedDict):
    id: Annotated[str, doc("Id of the artifact: 32 hexadecimal digits.", EXAMPLE_ID)]
    name: Annotated[str, doc("Name of the file.", "changes.patch")]
    type: Annotated[str, doc("Role of the file in the run.", "output")]
    source: Annotated[str, doc("Origin of the file; may be empty.", "agent")]
    size: Annotated[int, doc("Size in bytes.", 213)]
    content_type: Annotated[str, doc("Media type; may be empty.", "text/x-patch")]
    storage_path: Annotated[
        str,
        doc(
            "Key of the object in the bucket.",
            "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_changes.patch",
        ),
    ]


class ArtifactOut(_FileOut):
    """A stored file, as it is shown while it waits for the next run of its task."""

    uploaded_at: Annotated[
        str,
        Field(
            description="When the file was stored.",
            json_schema_extra={"format": "date-time"},
            examples=["2026-03-01T10:00:42.600000+00:00"],
        ),
    ]


class PrepareItem(Input):
    """The description of a file that a client wants to upload."""

    name: Name
    type: Type
    source: Source = ""
    size: Annotated[
        int, Integer(minimum=1, maximum=FILE_BYTES), doc("Size in bytes; the form accepts no larger file.")
    ]
    content_type: ContentType = None


class PrepareIn(Input):
    """A request for signed upload forms: the descriptions of the files that a client wants to upload."""

    examples: ClassVar = {"A screenshot": {"artifacts": [{**_FILE, "size": 48213}]}}

    artifacts: Annotated[
        list[PrepareItem], ArtifactItems(), doc("Files to upload, in the order of the answer.")
    ]


class FinalizeItem(Input):
    """A file that a client has uploaded with a signed form, to be verified and stored."""

    id: Annotated[str, Text(max_length=128), doc("The id of the prepared artifact.")]
    name: Name
    type: Type
    source: Source = ""
    storage_path: StoragePath
    content_type: ContentType = None


class FinalizeIn(Input):
    """The files that a client has uploaded with signed forms; all of them are accepted, or none."""

    examples: ClassVar = {"A screenshot": {"artifacts": [_FILE | {"id": EXAMPLE_ID, **EXAMPLE_PATH}]}}

    artifacts: Annotated[
        list[FinalizeItem], ArtifactItems(), doc("The uploaded files; all are accepted, or none.")
    ]


class PresignedPost(TypedDict):
    """A signed HTML form that uploads one file directly to object storage."""

    url: Annotated[
        str, doc("URL to POST the form to, as multipart/form-data.", "https://storage.example.com/taskbeacon")
    ]
    fields: Annotated[
        dict[str, str],
        doc(
            "Form fields to send verbatim, before the file part `file`.",
            {"key": "tasks/artifacts/screenshot.png", "policy": "eyJl…"},
        ),
    ]


class PreparedOut(_FileOut):
    """A prepared upload of one file: the file's id and description, and the signed HTML form that uploads it."""

    expires_in: Annotated[int, doc("Seconds for which the form is valid.", 3600)]
    presigned_post: PresignedPost


class PreparedPage(TypedDict):
    """The prepared uploads, in the order of the files in the request."""

    artifacts: list[PreparedOut]


class ArtifactsOut(TypedDict):
    """The files that are stored for the next run of a task."""

    artifacts: list[ArtifactOut]
