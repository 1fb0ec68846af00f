"""Bodies that upload files of a run, or request them by path (contract 6.4)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import TypedDict, override

from app.schemas.base import Input, doc
from app.schemas.fields import Choice, fail
from app.schemas.fields import Field as InputField
from app.schemas.staged_artifacts import ArtifactItems, ContentType, Name, Source, StoragePath, Type

_PATH = "tasks/artifacts/team_1/task_019ca8a6/run_019ca8a7/4b6f0c1d_screenshot.png"


class ContentEncoding(StrEnum):
    """The encoding of a file's content as a JSON string."""

    UTF_8 = "utf-8"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(InputField):
    """A field that takes the content of a file as a string. Blanks at its beginning and end are kept."""

    schema: ClassVar = {"type": "string"}

    @override
    def parse(self, value: Any) -> str:
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

    examples: ClassVar = {"A file of the run": {"storage_path": _PATH}}

    storage_path: StoragePath


class SignedUrlOut(TypedDict):
    """A URL from which a file can be downloaded without an API key."""

    url: Annotated[
        str, Field(examples=["https://storage.example.com/taskbeacon/changes.patch?X-Amz-Signature=…"])
    ]
    expires_in: Annotated[int, doc("Seconds for which the URL is valid.", 3600)]
