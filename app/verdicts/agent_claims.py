"""What an agent claims of its work. Checks and the files of the work judge a claim; no claim changes a verdict."""

from collections.abc import Collection, Mapping

from typing_extensions import TypedDict

from app.enums import CheckStatus, ClaimKind, Verdict


class AgentClaim(TypedDict):
    statement: str
    kind: ClaimKind
    check: str | None  # the id of the check that shows it
    command: list[str] | None  # what shows it: program and arguments
    path: str | None  # the file that it is about


def judge_claim(
    claim: AgentClaim,
    statuses: Mapping[str, CheckStatus],
    commands: Mapping[tuple[str, ...], str],
    changed: Collection[str],
) -> Verdict:
    """Return what checks, by id, or the changed files show of a claim; `commands` has the ids by command."""
    check, command, path = claim["check"], claim["command"], claim["path"]
    if claim["kind"] == ClaimKind.FILE_WRITTEN and path is not None:
        return Verdict.VERIFIED if path in changed else Verdict.REFUTED
    check_id = commands.get(tuple(command)) if check is None and command else check
    match statuses.get(check_id) if check_id else None:
        case CheckStatus.PASSED:
            return Verdict.VERIFIED
        case CheckStatus.FAILED:
            return Verdict.REFUTED
        case _:
            return Verdict.CLAIMED
