"""The tool `report_result`: its description and arguments (contract 18.6)."""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.agents.tools.arguments import WrongArguments, describe, in_one_line, read
from app.enums import ClaimKind
from app.verdicts.agent_claims import AgentClaim

NAME: Final = "report_result"
_DESCRIPTION = (
    "State what your work has achieved, once, when you are done; a later call replaces an earlier one. Name the check "
    "or the command that shows it, or the file that you wrote: what can be checked is checked. "
    "Claims change no verdict."
)
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid")

    statement: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] = Field(
        description="What holds now, in one sentence."
    )
    kind: ClaimKind
    check: _Text | None = Field(None, description="The id of the check that shows it.")
    command: Annotated[list[_Text], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Program and arguments that show it."
    )
    path: _Text | None = Field(
        None, description="The file that it is about, from the root of the repository."
    )


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    claims: Annotated[list[_Claim], Field(max_length=20)]


TOOL = describe(NAME, "Report the result", _DESCRIPTION, _Arguments, {"claims": "integer"})


def read_claims(arguments: object, mask: Callable[[str], str]) -> tuple[AgentClaim, ...]:
    """Return the claims, masked. Raises WrongArguments."""
    claims = tuple(
        AgentClaim(
            statement=in_one_line(each.statement, mask),
            kind=each.kind,
            check=each.check and mask(each.check),
            command=[mask(argument) for argument in each.command] if each.command else None,
            path=each.path and mask(each.path),
        )
        for each in read(_Arguments, arguments).claims
    )
    if not all(claim["statement"] for claim in claims):
        raise WrongArguments("a statement must have characters that can be seen")
    return claims
