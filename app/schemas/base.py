"""What all bodies share."""

from pydantic import BaseModel, ConfigDict

__all__ = ["Input"]


class Input(BaseModel):
    """A body, or the query of a list. Unknown and read-only keys are ignored, whatever they hold (contract 2.5)."""

    model_config = ConfigDict(extra="ignore", frozen=True, arbitrary_types_allowed=True)

    def given(self, field: str) -> bool:
        """Tell whether the caller sent this field; a default is not a wish."""
        return field in self.model_fields_set
