"""What an agent that sends its events is answered (contract 6.4)."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict


class PositionOut(TypedDict):
    """How far the events of a run are taken."""

    last_accepted_seq: Annotated[
        int, Field(description="Number of the last event that was taken; 0: none yet.", ge=0)
    ]
