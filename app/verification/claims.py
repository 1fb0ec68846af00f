"""What an agent claims of its work. Checks and the files of the work judge a claim; no claim changes a verdict."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from app.enums import CheckStatus, ClaimKind, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentClaim:
    statement: str
    kind: ClaimKind
    check: str | None = None  # the id of the check that shows it
    command: tuple[str, ...] | None = None  # what shows it: program and arguments
    path: str | None = None  # the file that it is about


def judge_claim(
    claim: AgentClaim,
    statuses: Mapping[str, CheckStatus],
    commands: Mapping[tuple[str, ...], str],
    changed: Collection[str],
) -> Verdict:
    """Return what is known of a claim.

    `statuses` are those of the checks by id, `commands` their ids by program and arguments, `changed` the files of the
    work.
    """
    if claim.kind is ClaimKind.FILE_WRITTEN and claim.path is not None:
        return Verdict.VERIFIED if claim.path in changed else Verdict.REFUTED
    named = commands.get(claim.command) if claim.check is None and claim.command else claim.check
    match statuses.get(named) if named else None:
        case CheckStatus.PASSED:
            return Verdict.VERIFIED
        case CheckStatus.FAILED:
            return Verdict.REFUTED
        case _:
            return Verdict.CLAIMED
