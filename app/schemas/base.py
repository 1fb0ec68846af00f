"""Base classes of request bodies, queries and pages of lists, and the descriptions of their fields."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from app.json_types import JsonDict


class Input(BaseModel):
    """Base class of request bodies and queries. Unknown and read-only keys are ignored (contract 2.5)."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)
    # Examples of a body for the OpenAPI document, by their titles.
    examples: ClassVar[Mapping[str, Any]] = {}

    def given(self, field: str) -> bool:
        """Return whether the client sent the field. Return False if it was left out and so has its default."""
        return field in self.model_fields_set


class QueryInput(Input):
    """Base class of the query parameters of a URL. An empty parameter (`?a=`) that is optional is not given."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, parameters: JsonDict) -> JsonDict:
        return {
            name: value
            for name, value in parameters.items()
            if value != "" or (name in cls.model_fields and cls.model_fields[name].is_required())
        }


class ApiPath:
    """A path of this API as a value of a response, which shows it as the complete URL for the caller."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema()


class Page(NamedTuple):
    """The requested part of a list: at most `limit` rows, after the first `offset` rows."""

    limit: int
    offset: int


def doc(description: str, *examples: Any) -> Any:
    """Return the metadata of a field for the OpenAPI document: its description, and examples of its value."""
    return Field(description=description, examples=list(examples) or None)


_PageLink = Annotated[
    str | None,
    Field(
        description="Complete URL of that page, null if there is none.", json_schema_extra={"format": "uri"}
    ),
]


class ListPage(TypedDict):
    """Base class of the pages of lists."""

    count: Annotated[int, doc("The number of results on all pages.")]
    next: _PageLink
    previous: _PageLink
