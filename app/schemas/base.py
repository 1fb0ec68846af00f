"""Base classes of request bodies, and the fields of every page."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

PageLink = Annotated[
    str | None,
    Field(
        description="Complete URL of that page, null if there is none.",
        json_schema_extra={"format": "uri"},
        examples=[None],
    ),
]


class Input(BaseModel):
    """A body, or the query of a list. Unknown and read-only keys are ignored, with any value (contract 2.5)."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)

    def given(self, field: str) -> bool:
        """Return whether the caller sent this field; a default counts as not sent."""
        return field in self.model_fields_set


class QueryInput(Input):
    """The query of a request; an empty parameter counts as not given."""

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if value != ""}
