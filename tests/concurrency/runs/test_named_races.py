"""Every race that the docstring of a life cycle names has a case, and no other race is listed here."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from app.services.runs import run_lifecycle
from app.services.runs.verification_attempts import verification_lifecycle
from tests.concurrency import test_verdicts
from tests.concurrency.runs import test_command_delivery, test_run_lifecycle, test_verification

_NAME = re.compile(r"^ {4}(\S.*? against (?:an )?\w+)", re.MULTILINE)

Test = Callable[..., Any]
RACES = test_run_lifecycle.TestRaces.test_of_two_steps_at_once
REQUESTS = test_run_lifecycle.TestRacesOfRequests.test_of_two_steps_at_once
LEASES = test_verification.TestLeases.test_of_two_steps_at_once
REPAIRS = test_verification.TestRepairs.test_of_two_steps_at_once
# The test of each race, with the two steps of its case if it has several.
OF_RUNS: dict[str, tuple[Test, tuple[str, ...]]] = {
    "claim against claim": (RACES, ("claim", "claim by another")),
    "finish against cancel": (RACES, ("finish", "cancel")),
    "finish against recovery": (RACES, ("finish", "recover")),
    "heartbeat against recovery": (RACES, ("heartbeat", "recover")),
    "start of an agent, or hand back, against recovery": (RACES, ("start agent", "recover")),
    "sweep against anything": (
        test_run_lifecycle.TestLapsedLease.test_sweep_does_not_wait_for_a_batch_over_the_same_tasks,
        (),
    ),
    "check against anything": (LEASES, ("conclude", "cancel")),
    "repair against recovery": (REPAIRS, ("stop", "recover")),
    "silence against an end": (RACES, ("fail silent", "complete")),
    "reopen against claim": (RACES, ("cancel and reopen", "claim")),
    "hand back against cancel": (RACES, ("hand back", "cancel")),
    "restart against worker": (RACES, ("restart", "start agent")),
    "restart against receipt": (
        test_command_delivery.test_command_that_is_delivered_while_the_run_is_restarted_goes_to_the_next_agent,
        (),
    ),
    "PATCH against PATCH": (REQUESTS, ("PATCH completed", "PATCH failed")),
    "start against start": (REQUESTS, ("start", "start")),
    "start against claim": (REQUESTS, ("claim", "start")),
}
OF_CHECKS: dict[str, tuple[Test, tuple[str, ...]]] = {
    "claim against claim": (test_verification.TestClaims.test_one_attempt_is_claimed_by_one_job, ()),
    "conclude against cancel": (LEASES, ("conclude", "cancel")),
    "conclude against recovery": (LEASES, ("conclude", "recover")),
    "heartbeat against recovery": (LEASES, ("heartbeat", "recover")),
    "conclude against waiver": (
        test_verdicts.TestWaiverOfAnEarlierRun.test_holds_for_a_verdict_that_comes_later,
        (),
    ),
    "re-run against cancel": (test_verification.test_rerun_and_cancel_at_once, ("conclude", "cancel")),
    "deliver against cancel": (
        test_verification.TestDelivery.test_run_that_was_cancelled_gets_what_its_agent_has_made,
        (),
    ),
    "repair against cancel": (REPAIRS, ("stop", "cancel")),
    "repair against recovery": (REPAIRS, ("stop", "recover")),
}


def _cases(test: Any) -> list[tuple[Any, ...]]:
    return [case for mark in test.pytestmark if mark.name == "parametrize" for case in mark.args[1]]


@pytest.mark.parametrize(
    ("lifecycle", "decided"), [(run_lifecycle, OF_RUNS), (verification_lifecycle, OF_CHECKS)]
)
def test_each_race_that_a_docstring_names_has_a_case(
    lifecycle: ModuleType, decided: dict[str, tuple[Test, tuple[str, ...]]]
) -> None:
    assert _NAME.findall(lifecycle.__doc__ or "") == list(decided)
    for race, (test, steps) in decided.items():
        if steps:
            # A case may name the state of the run before its two steps.
            assert steps in [case[n : n + 2] for case in _cases(test) for n in (0, 1)], race
