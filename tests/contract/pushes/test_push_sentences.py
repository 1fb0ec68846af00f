"""What the push about the end of a run says of its checks (contract 16.4, 16.6)."""

from dataclasses import dataclass
from typing import Any

import pytest

from app.db import unit_of_work
from app.enums import CheckStatus, RunReason, RunStatus, Verdict
from app.services.runs import run_lifecycle
from app.services.runs.run_lifecycle import RunEnd
from tests.contract.pushes import rows
from tests.contract.pushes.conftest import PushScene
from tests.support.stand_ins.fakes import RecordingEvents
from tests.support.verification import shown_verdict

PASSED, FAILED, SKIPPED = CheckStatus.PASSED, CheckStatus.FAILED, CheckStatus.SKIPPED
COMPLETED = '"Fix the login page" finished'


async def end(scene: PushScene, shown: Any, status: RunStatus = RunStatus.COMPLETED) -> None:
    reason = RunReason.VERIFICATION_FAILED if status is RunStatus.FAILED else RunReason.AGENT_ENDED
    given = RunEnd(status=status, verification=shown, reason=reason, error_message="It is not verified.")
    async with unit_of_work(scene.sessions) as session:
        assert await run_lifecycle.finish(
            session, scene.run.id, given, owner="worker", events=RecordingEvents()
        )


@dataclass(frozen=True, slots=True)
class Case:
    shown: dict[str, Any]
    body: str
    urgency: str
    status: RunStatus = RunStatus.COMPLETED


CASES = {
    "verified": Case(
        shown_verdict(Verdict.VERIFIED, PASSED, CheckStatus.FAILED_BEFORE, PASSED, SKIPPED),
        f"{COMPLETED}, verified (3 checks)",
        "low",
    ),
    "verified by one": Case(
        shown_verdict(Verdict.VERIFIED, PASSED), f"{COMPLETED}, verified (1 check)", "low"
    ),
    "refuted": Case(
        shown_verdict(Verdict.REFUTED, FAILED, PASSED, FAILED), f"{COMPLETED}, 2 checks fail", "normal"
    ),
    "refuted by one": Case(shown_verdict(Verdict.REFUTED, FAILED), f"{COMPLETED}, 1 check fails", "normal"),
    "inconclusive": Case(
        shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.TIMEOUT),
        f"{COMPLETED}, checks inconclusive",
        "normal",
    ),
    "claimed": Case(
        shown_verdict(Verdict.CLAIMED, SKIPPED, reason="none_applicable"), f"{COMPLETED}, not checked", "low"
    ),
    "failed as refuted": Case(
        shown_verdict(Verdict.REFUTED, FAILED, FAILED),
        '"Fix the login page" failed, 2 checks fail',
        "normal",
        RunStatus.FAILED,
    ),
    "failed as inconclusive": Case(
        shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.FLAKY),
        '"Fix the login page" failed, checks inconclusive',
        "normal",
        RunStatus.FAILED,
    ),
    "without checks": Case(shown_verdict(Verdict.CLAIMED, reason="no_checks", attempt=0), COMPLETED, "low"),
    "cancelled": Case(
        shown_verdict(Verdict.INCONCLUSIVE, CheckStatus.FLAKY, reason="cancelled"),
        '"Fix the login page" was cancelled',
        "low",
        RunStatus.CANCELLED,
    ),
}


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_push_says_what_checks_show(scene: PushScene, case: Case) -> None:
    await end(scene, case.shown, case.status)

    row = await scene.row()

    assert (row.body, row.urgency) == (case.body, case.urgency)
    await scene.deliver()
    assert [message["body"] for message in scene.received] == [case.body]


@pytest.mark.usefixtures("device")
async def test_generic_push_says_nothing_of_checks(scene: PushScene) -> None:
    await scene.prefer(push_text="generic")

    await end(scene, shown_verdict(Verdict.REFUTED, FAILED))

    assert (await scene.row()).body == "A task finished"


async def test_question_during_a_repair_says_nothing_of_the_verdict_before(scene: PushScene) -> None:
    scene.run.verification = shown_verdict(Verdict.REFUTED, FAILED)
    await scene.session.flush()

    await scene.ask(urgency="high")

    row = await rows.only_row(scene.sessions, scene.task)
    assert (row.body, row.urgency) == ('"Fix the login page" needs your input', "high")
