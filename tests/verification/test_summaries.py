"""What is known of the work of a run in a few words."""

import pytest

from app.enums import CheckStatus, Verdict, VerdictReason
from app.verification.summaries import heading_of, page_of, summarize
from tests.support.verification import JSON, shown_verdict

PASSED, FAILED = CheckStatus.PASSED, CheckStatus.FAILED


@pytest.mark.parametrize(
    ("shown", "words", "heading"),
    [
        (shown_verdict(Verdict.VERIFIED, PASSED, PASSED), "verified (2 checks)", "Verified (2 checks)"),
        (shown_verdict(Verdict.REFUTED, FAILED, FAILED), "2 checks fail", "Refuted: 2 checks fail"),
        (
            shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.ERROR),
            "checks inconclusive",
            "Inconclusive: checks inconclusive",
        ),
        (shown_verdict(Verdict.CLAIMED, reason="no_checks"), "not checked", "Claimed: not checked"),
        (shown_verdict(Verdict.INCONCLUSIVE, reason=VerdictReason.CANCELLED), None, "Inconclusive"),
    ],
)
def test_words_say_the_verdict_and_what_it_is_about(shown: JSON, words: str | None, heading: str) -> None:
    assert (summarize(shown), heading_of(shown)) == (words, heading)


def test_there_are_no_words_before_a_verdict() -> None:
    concluded = shown_verdict(Verdict.VERIFIED, PASSED)

    assert summarize(None) is None
    assert summarize({**concluded, "attempts": 0}) is None
    assert summarize({**concluded, "verdict": None}) is None


def test_page_says_how_much_it_leaves_out() -> None:
    shown = shown_verdict(Verdict.VERIFIED, *[PASSED] * 200)

    page = page_of(shown)

    rows = page.count("\n| `")
    assert page.endswith(f"\nand {len(shown['checks']) - rows} more\n")
    assert 0 < rows < 200
