"""Texts about a verification: a few words, a page for the pull request, and the prompt for a repair."""

from collections.abc import Iterator, Sequence

from app.enums import CheckGate, CheckStatus, Verdict, VerdictReason
from app.schemas.runs.verifications import CheckResultOut, ReasonOut, ResultOut, SetupStepOut, VerificationOut
from app.verdicts.definitions import Definitions, command_of
from app.verdicts.judgement import Case

_PASSING = (CheckStatus.PASSED, CheckStatus.FAILED_BEFORE)
_REFUTING = (VerdictReason.CHECK_FAILED, VerdictReason.NEW_FAILURES)
# The most bytes of a page, without the link and the marks around it.
_PAGE_BYTES = 3000
_MOST_REASONS = 10


def summarize(shown: VerificationOut | None) -> str | None:
    """Return words such as "2 checks fail"; None without checks or a verdict, and for a cancelled run."""
    if not shown or not shown["attempts"]:
        return None
    if any(reason["code"] == VerdictReason.CANCELLED for reason in shown["reasons"]):
        return None
    match shown["verdict"]:
        case Verdict.VERIFIED:
            gating = [check for check in shown["checks"] if check["gate"] != CheckGate.INFORMATIONAL]
            count = sum(check["status"] in _PASSING for check in gating)
            words = f"verified ({count} check{'' if count == 1 else 's'})"
        case Verdict.REFUTED:
            count = len({reason["check"] for reason in shown["reasons"] if reason["code"] in _REFUTING})
            words = "1 check fails" if count == 1 else f"{count} checks fail"
        case Verdict.INCONCLUSIVE:
            words = "checks inconclusive"
        case Verdict.CLAIMED:
            words = "not checked"
        case _:
            return None
    return words


def _words_of(reason: ReasonOut) -> str:
    code = reason["code"].replace("_", " ")
    return f"{code}: {' '.join(reason['detail'].split())}" if reason["detail"] else code


def reasons_of(shown: VerificationOut) -> str:
    return "\n".join(": ".join(filter(None, (each["check"], _words_of(each)))) for each in shown["reasons"])


def heading_of(shown: VerificationOut) -> str:
    words, verdict = summarize(shown), str(shown["verdict"])
    if words is None or words.startswith(verdict):
        return (words or verdict).capitalize()
    return f"{verdict.capitalize()}: {words}"


def page_of(shown: VerificationOut) -> str:
    """Return verdict, reasons and checks as Markdown of `_PAGE_BYTES` at most, without texts of agents and checks."""
    page, left_out = "", 0
    for line in _lines(shown):
        if len(page.encode()) + len(line) > _PAGE_BYTES:
            left_out += 1
        else:
            page += f"{line}\n"
    return page + (f"\nand {left_out} more\n" if left_out else "")


def _lines(shown: VerificationOut) -> Iterator[str]:
    yield f"**{heading_of(shown)}**, commit {shown['commit']}"
    yield ""
    if reasons := shown["reasons"][:_MOST_REASONS]:
        causes = (f"`{each['code']}`" + (f" ({each['check']})" if each["check"] else "") for each in reasons)
        yield f"Why: {', '.join(causes)}"
        yield ""
    if shown["waived"]:
        yield "A member accepts this work all the same."
        yield ""
    yield "| check | gate | status | base | new failures | removed cases | old tests |"
    yield "|---|---|---|---|---|---|---|"
    for check in shown["checks"]:
        status = check["status"] + (f" ({check['cause']})" if check["cause"] else "")
        counts = check["counts"]
        cells = (
            f"`{check['id']}`",
            check["gate"],
            status,
            check["base"],
            str(counts["new"]) if counts else "",
            str(counts["removed"]) if counts else "",
            check["old_tests"],
        )
        yield f"| {' | '.join(cells)} |"


def repair_message(shown: ResultOut, definitions: Definitions | None, *, attempt: int, attempts: int) -> str:
    """Return the prompt after an attempt that was refuted or inconclusive; `shown` has the output of checks."""
    placed = definitions.checks if definitions else ()
    commands = {each.check.id: command_of(each.check) for each in placed}
    is_refuted = shown["verdict"] == Verdict.REFUTED
    outcome = "do not pass" if is_refuted else "are inconclusive"
    blocks = [f"The checks of this run {outcome} (attempt {attempt} of {attempts})."]
    reasons: dict[str | None, list[str]] = {}
    for reason in shown["reasons"]:
        reasons.setdefault(reason["check"], []).append(_words_of(reason))
    blocks += reasons.pop(None, [])
    if any(reason["code"] == VerdictReason.SETUP_FAILED for reason in shown["reasons"]):
        failed = [step for step in shown["setup"] if step["status"] == "failed"]
        blocks += ["\n".join([f"Set-up: {step['command']}", *_output(step)]) for step in failed]
    for check in shown["checks"]:
        if (why := reasons.get(check["id"])) is not None:
            blocks.append("\n".join(_block(check, commands.get(check["id"]), [] if is_refuted else why)))
    hosts = dict.fromkeys(host for check in shown["checks"] for host in check["blocked_hosts"])
    if hosts:
        blocks.append(f"blocked hosts: {', '.join(hosts)}")
    if protected := shown["protected_changed"]:
        blocks.append(f"protected paths, put back: {', '.join(protected)}")
    return "\n\n".join([*blocks, "Correct the cause; the checks run again on a fresh clone."])


def _block(check: CheckResultOut, command: str | None, why: Sequence[str]) -> Iterator[str]:
    yield f"Check {check['id']}" + (f": {command}" if command else "")
    yield from why
    if check["exit_code"] is not None:
        yield f"exit code {check['exit_code']}"
    if (failures := check["new_failures"]) and check["counts"]:
        yield f"new failing cases ({check['counts']['new']}):"
        yield from (f"- {Case(each['suite'], each['class'], each['name']).title}" for each in failures)
    yield from _output(check)


def _output(shown: CheckResultOut | SetupStepOut) -> list[str]:
    # Each line is prefixed, so that no output begins a code block, or looks like a text of the service.
    return ["output:", *(f"| {line}" for line in shown["tail"].splitlines())]
