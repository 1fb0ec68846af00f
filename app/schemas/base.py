"""What all bodies share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Input", "PageLink"]

PageLink = Annotated[
    str | None,
    Field(
        description="Complete URL of that page, null if there is none.",
        json_schema_extra={"format": "uri"},
        examples=[None],
    ),
]


class Input(BaseModel):
    """A body, or the query of a list. Unknown and read-only keys are ignored, whatever they hold (contract 2.5)."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)

    def given(self, field: str) -> bool:
        """Tell whether the caller sent this field; a default is not a wish."""
        return field in self.model_fields_set
