"""Say what is known of the work of a run, in a few words or a page, from its verification as the API shows it."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.enums import CheckGate, CheckStatus, Verdict, VerdictReason

_PASSING = (CheckStatus.PASSED, CheckStatus.FAILED_BEFORE)
_REFUTING = (VerdictReason.CHECK_FAILED, VerdictReason.NEW_FAILURES)
# The most that a page says, in bytes, without its link and its frame.
_PAGE_BYTES = 3000
_MOST_REASONS = 10


def summarize(shown: Mapping[str, Any] | None) -> str | None:
    """Return words such as "2 checks fail"; None of a run without checks, without a verdict, or that was cancelled."""
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


def words_of(reason: Mapping[str, Any]) -> str:
    """Return one reason of a verdict in a line; its detail may be text that an agent or a check has written."""
    code = reason["code"].replace("_", " ")
    return f"{code}: {' '.join(reason['detail'].split())}" if reason["detail"] else code


def reasons_of(shown: Mapping[str, Any]) -> str:
    return "\n".join(": ".join(filter(None, (each["check"], words_of(each)))) for each in shown["reasons"])


def heading_of(shown: Mapping[str, Any]) -> str:
    words, verdict = summarize(shown), shown["verdict"]
    if words is None or words.startswith(verdict):
        return str(words or verdict).capitalize()
    return f"{verdict.capitalize()}: {words}"


def page_of(shown: Mapping[str, Any]) -> str:
    """Return the verdict, its reasons and a table of the checks as Markdown, cut to `_PAGE_BYTES`.

    It has no text that an agent or a check could write.
    """
    page, left_out = "", 0
    for line in _lines(shown):
        if len(page.encode()) + len(line) > _PAGE_BYTES:
            left_out += 1
        else:
            page += f"{line}\n"
    return page + (f"\nand {left_out} more\n" if left_out else "")


def _lines(shown: Mapping[str, Any]) -> Iterator[str]:
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
        counts = check["counts"] or {}
        cells = (
            f"`{check['id']}`",
            check["gate"],
            status,
            check["base"],
            str(counts.get("new", "")),
            str(counts.get("removed", "")),
            check["old_tests"],
        )
        yield f"| {' | '.join(cells)} |"
