"""Agents that are asked to correct what was refuted, in the same conversation (contract 18.5)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import pytest
from sqlalchemy import delete, select, update

from app.agents.errors import AgentCancelled, AgentStopped, BudgetSpent
from app.agents.run_result import RunResult, WorkBase
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import CheckSource, RunStatus
from app.models import CheckSet, Run, Verification
from app.schemas.runs.run import CancelIn
from app.services.artifacts.live_diff import unpack_texts
from app.services.runs import run_lifecycle
from app.services.runs.lost_runs import recover_runs
from app.services.runs.run_edits import cancel_run
from app.services.runs.run_lifecycle import Claim
from app.services.runs.verification_attempts import verification_lifecycle
from app.verdicts.definitions import Check, unite
from app.verdicts.definitions import CheckSet as CheckSetOf
from app.worker.run.run_files import StoredFiles
from app.worker.run.run_outcome import RunReport, end_run
from tests.agents.conftest import remembering_adapter
from tests.fixtures.worker import Repositories, Workshop
from tests.support.principals import member_of
from tests.support.runs import read_object
from tests.worker.jobs.test_verify_run import ends
from tests.worker.run.test_earlier_runs import STATE, resumed, with_agent
from tests.worker.verification.test_verification_executor import (
    define,
    events_of,
    move,
    perform,
    shown,
    verify,
)

_NAME = "acme/shop"
_FAILS: Final[Mapping[str, Any]] = {"on_unverified": "fail"}


async def refuted(
    workshop: Workshop,
    repositories: Repositories,
    manner: str,
    needs: str,
    *,
    command: Sequence[str] = (),
    files: Mapping[str, str] = MappingProxyType({}),
    **definitions: Any,
) -> tuple[Workshop, Run]:
    """Have an agent work whose result is refuted unless its file holds a text."""
    shop = with_agent(workshop, remembering_adapter(manner, name="actor"))
    repositories.create(_NAME, {"README.md": "before\n", **files})
    checks = [
        {"id": "turns", "run": [*command] or ["grep", needs, "turns.txt"], "gate": "strict", "retries": 0}
    ]
    await define(shop, checks=checks, **definitions)
    run = await shop.queued_run("Begin.", repository=_NAME, state=STATE)
    await perform(shop, run)
    await verify(shop)
    return shop, run


async def test_agent_corrects_its_work_in_the_same_conversation(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2")
    waiting = await shop.read(run)
    assert (waiting.status, shown(waiting)["verdict"]) == (RunStatus.QUEUED, "refuted")

    await perform(shop, run)
    await verify(shop)

    ended = await shop.read(run)
    assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)
    assert ended.output is not None
    first, second = [json.loads(line)["prompt"] for line in ended.output["summary"].splitlines()]
    assert first == ["Begin."]
    assert second[0].startswith("The checks of this run do not pass (attempt 1 of 3).")
    assert (shown(ended)["attempts"], shown(ended)["stopped"]) == (2, None)
    assert repositories.show(_NAME, f"{ended.output['head_branch']}:turns.txt") == "2\n"
    assert shown(ended)["commit"] == ended.output["head_sha"]
    assert await ends(shop, run) == [
        ("verification.finished", "refuted", False),
        ("verification.finished", "verified", True),
        ("run.completed", "verified"),
    ]
    started = [data for type_, data in await events_of(shop, run) if type_ == "verification.started"]
    assert [data["attempt"] for data in started] == [1, 2]
    log = await shop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    (repair,) = [json.loads(line) for line in log.splitlines() if "_taskbeacon/repair" in line]
    assert repair["notification"]["params"] == {
        "attempt": 1,
        "source": "verification",
        "text": second[0],
    }


@pytest.mark.parametrize("is_kept", [True, False])
async def test_changes_of_a_corrected_run_are_those_since_it_began(
    workshop: Workshop, repositories: Repositories, *, is_kept: bool
) -> None:
    """Regression: files and patch were those of the correction, so that people did not see what it corrects."""
    shop, run = await refuted(workshop, repositories, "work", "2")
    if not is_kept:
        # The code host has no such commit any more.
        async with unit_of_work(shop.sessions) as session:
            gone = Verification.delivery.op("||")({"began": "f" * 40})
            await session.execute(update(Verification).values(delivery=gone))
    await perform(shop, run)
    await verify(shop)

    ended = await shop.read(run)
    assert (ended.output or {})["files_changed"] == ["turns.txt"]
    # Regression: that of the work before was there too.
    [patch] = [artifact for artifact in ended.artifacts if artifact["name"] == "changes.patch"]
    lines = (await shop.stored(patch["storage_path"])).splitlines()
    assert (("new file mode 100644" in lines), "-1" in lines, "+2" in lines) == (is_kept, not is_kept, True)


async def test_changes_of_a_corrected_run_need_no_whole_clone(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: the clone of a repair lacked the files as the run had found them, so that nothing was shown of it."""
    partial = workshop.context.process.settings.model_copy(update={"git_clone_filter": "blob:none"})
    # As on a worker that has no mirror of the repository.
    shop = replace(workshop, context=replace(workshop.context, mirrors=None)).with_process(settings=partial)
    shop, run = await refuted(shop, repositories, "work", "2", files={"turns.txt": "0\n"})
    await perform(shop, run)
    await verify(shop)

    ended = await shop.read(run)
    [patch] = [artifact for artifact in ended.artifacts if artifact["name"] == "changes.patch"]
    assert "-0\n+2\n" in await shop.stored(patch["storage_path"])
    texts_key = RunRef(run.project_id, run.task_id, run.id).texts_key
    texts = unpack_texts(await read_object(shop.context.process.store, texts_key))
    assert texts == {"turns.txt": "0\n"}


async def test_agent_corrects_its_work_where_it_was_pushed(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2")
    await move(shop, run, None)

    await perform(shop, run)
    await verify(shop)

    ended = await shop.read(run)
    assert (ended.status, shown(ended)["verdict"], shown(ended)["attempts"]) == (
        RunStatus.COMPLETED,
        "verified",
        2,
    )


async def test_without_repairs_the_first_verdict_ends_the_run(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2", max_repairs=0, on_unverified="fail")

    ended = await shop.read(run)
    assert (ended.status, shown(ended)["stopped"]) == (RunStatus.FAILED, "limit")
    assert ended.error_message == "The result is not verified: refuted"
    assert await ends(shop, run) == [
        ("verification.finished", "refuted", True),
        ("run.failed", "refuted"),
    ]


async def test_repair_that_claims_nothing_keeps_what_was_claimed(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2")
    claim = {"statement": "It counts.", "kind": "other", "check": "turns", "command": None, "path": None}
    async with unit_of_work(shop.sessions) as session:
        claims = {"claims": [{**claim, "judgement": "refuted"}]}
        await session.execute(update(Run).values(verification=Run.verification.op("||")(claims)))

    await perform(shop, run)
    await verify(shop)

    assert shown(await shop.read(run))["claims"] == [{**claim, "judgement": "verified"}]


async def test_run_that_begins_again_has_all_its_repairs_again(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "never", max_repairs=1)
    await perform(shop, run)
    await verify(shop)
    await begin_again(shop, run)

    await perform(shop, run)
    await verify(shop)

    waiting = await shop.read(run)
    assert (waiting.status, shown(waiting)["attempts"]) == (RunStatus.QUEUED, 3)


async def test_run_that_begins_again_is_not_ended_by_what_it_delivered_before(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "never", max_repairs=0)
    await begin_again(shop, run)

    events = shop.context.process.events
    async with unit_of_work(shop.sessions) as session:
        assert not await verification_lifecycle.stop_repair(
            session, run.id, stopped="agent", owner=None, events=events
        )


async def begin_again(shop: Workshop, run: Run) -> None:
    async with unit_of_work(shop.sessions) as session:
        await run_lifecycle.reopen(session, run.id, events=shop.context.process.events)


async def test_agent_that_fails_in_a_repair_leaves_what_was_delivered(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: the texts of its files were those that the dropped repair has changed."""
    shop, run = await refuted(workshop, repositories, "give-up", "2", files={"turns.txt": "0\n"}, **_FAILS)
    await perform(shop, run)

    await check_failed(shop, run, repositories)
    texts = await read_object(
        shop.context.process.store, RunRef(run.project_id, run.task_id, run.id).texts_key
    )
    assert unpack_texts(texts) == {"turns.txt": "0\n"}


async def test_repair_that_changes_nothing_leaves_what_was_delivered(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "once", "2", **_FAILS)
    # Regression: after work of no time, as a clock of little resolution has it, this was no repair.
    async with unit_of_work(shop.sessions) as session:
        at_once = Verification.delivery.op("||")({"worked_seconds": 0})
        await session.execute(update(Verification).values(delivery=at_once))
    await perform(shop, run)

    await check_failed(shop, run, repositories, stopped="repeated")


async def test_run_that_adds_nothing_to_refuted_work_is_not_asked_to_correct_it(
    workshop: Workshop, repositories: Repositories
) -> None:
    """A person may have asked it for an explanation alone."""
    shop, first = await refuted(workshop, repositories, "once", "2")
    await perform(shop, first)
    run = await resumed(shop, first, pending_user_message="Why does it fail?")

    await perform(shop, run)
    await verify(shop)

    ended = await shop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.COMPLETED, "refuted")
    assert (shown(ended)["attempts"], shown(ended)["stopped"]) == (1, None)


async def test_budget_spent_in_a_repair_leaves_what_was_delivered(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2", **_FAILS)
    claimed = await claim(shop, run)

    await end_run(shop.context, claimed, RunReport(work=BudgetSpent("The budget is spent.")))

    await check_failed(shop, run, repositories, stopped="budget")


async def test_worker_lost_in_a_repair_leaves_what_was_delivered(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2", **_FAILS)
    async with unit_of_work(shop.sessions) as session:
        lost = {"status": RunStatus.IN_PROGRESS, "lease_owner": "lost", "lease_expires_at": utcnow()}
        started = Run.facts.op("||")({"agent_started_at": utcnow().isoformat()})
        await session.execute(update(Run).where(Run.id == run.id).values(**lost, facts=started))
    await recover_runs(shop.context.process)

    await check_failed(shop, run, repositories)


async def test_repair_goes_on_with_the_time_that_is_left(
    workshop: Workshop, repositories: Repositories
) -> None:
    shop, run = await refuted(workshop, repositories, "work", "2", **_FAILS)
    limit = shop.context.process.settings.run_timeout_seconds
    async with unit_of_work(shop.sessions) as session:
        kept = Verification.delivery
        worked = await session.scalar(select(kept["worked_seconds"]).where(Verification.run_id == run.id))
        assert worked is not None
        assert 0 < worked < limit
        spent = kept.op("||")({"worked_seconds": limit})
        await session.execute(
            update(Verification).where(Verification.run_id == run.id).values(delivery=spent)
        )
    await perform(shop, run)

    await check_failed(shop, run, repositories, stopped="deadline")


async def check_failed(
    shop: Workshop, run: Run, repositories: Repositories, *, stopped: str = "agent"
) -> None:
    """Check the end of a run that is to fail unverified. Regression: it was completed."""
    fault = "The result is not verified: refuted"
    await check_delivered(shop, run, repositories, stopped=stopped, ends_as=(RunStatus.FAILED, fault))


async def check_delivered(
    shop: Workshop,
    run: Run,
    repositories: Repositories,
    *,
    stopped: str = "agent",
    ends_as: tuple[RunStatus, str | None] = (RunStatus.COMPLETED, None),
) -> None:
    ended = await shop.read(run)
    assert (ended.status, ended.error_message) == ends_as
    assert ended.output is not None
    assert (shown(ended)["verdict"], shown(ended)["attempts"]) == ("refuted", 1)
    assert shown(ended)["stopped"] == stopped
    assert repositories.show(_NAME, f"{ended.output['head_branch']}:turns.txt") == "1\n"
    assert await ends(shop, run) == [
        ("verification.finished", "refuted", False),
        ("verification.finished", "refuted", True),
        (f"run.{ended.status}", "refuted"),
    ]


async def claim(shop: Workshop, run: Run) -> Claim:
    """Begin the repair of a run, as a worker does whose agent starts."""
    async with unit_of_work(shop.sessions) as session:
        claimed = await run_lifecycle.claim(session, owner="job", events=shop.context.process.events)
        assert claimed is not None
        assert await run_lifecycle.mark_agent_started(session, run.id, owner="job")
    return claimed


async def cancel(shop: Workshop, run: Run) -> None:
    caller = member_of(shop.project, shop.owner)
    async with unit_of_work(shop.sessions) as session:
        await cancel_run(session, caller, run.task_id, run.id, CancelIn(), shop.context.process)


@pytest.mark.parametrize("moment", ["before the agent", "with the agent", "by a command"])
async def test_run_that_is_cancelled_in_a_repair_keeps_its_verdict(
    workshop: Workshop, repositories: Repositories, moment: str
) -> None:
    """Regression: its last verdict was never final, or came after the end of the run."""
    shop, run = await refuted(workshop, repositories, "work", "2", **_FAILS)
    claimed = await claim(shop, run) if moment != "before the agent" else None
    if moment != "by a command":
        await cancel(shop, run)
    if claimed is not None:
        left = AgentStopped("The run was stopped.") if moment == "with the agent" else AgentCancelled()
        await end_run(shop.context, claimed, RunReport(work=left))

    ended = await shop.read(run)
    assert (ended.status, shown(ended)["verdict"]) == (RunStatus.CANCELLED, "refuted")
    assert ended.output is not None
    assert ended.output["head_sha"] == shown(ended)["commit"]
    assert shown(ended)["stopped"] == "cancelled"
    assert await ends(shop, run) == [
        ("verification.finished", "refuted", False),
        ("verification.finished", "refuted", True),
        ("run.cancelled", None),
    ]


async def test_worker_that_is_back_after_its_repair_was_given_up_changes_nothing(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: it said once more that the verification is finished."""
    shop, run = await refuted(workshop, repositories, "work", "2")
    claimed = await claim(shop, run)
    async with unit_of_work(shop.sessions) as session:
        await session.execute(update(Run).values(lease_expires_at=utcnow()))
    await recover_runs(shop.context.process)

    await end_run(shop.context, claimed, RunReport(work=AgentStopped("The run was stopped.")))

    await check_delivered(shop, run, repositories)


async def test_repair_is_checked_by_what_the_run_began_with(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: without a check set any more, the result was only claimed, and its verdict gone."""
    shop, run = await refuted(workshop, repositories, "work", "2")
    async with unit_of_work(shop.sessions) as session:
        await session.execute(delete(CheckSet))
    await perform(shop, run)
    await verify(shop)

    assert (shown(await shop.read(run))["verdict"], shown(await shop.read(run))["attempts"]) == (
        "verified",
        2,
    )


async def test_repair_whose_files_are_lost_leaves_what_was_delivered(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: the run had no verdict any more."""
    shop, run = await refuted(workshop, repositories, "work", "2")
    claimed = await claim(shop, run)

    await end_run(shop.context, claimed, report_of_lost_files())

    await check_delivered(shop, run, repositories)


async def test_run_whose_files_are_lost_says_nothing_of_its_work(workshop: Workshop) -> None:
    """Regression: that no check is defined."""
    run = await workshop.queued_run("Begin.")

    await end_run(workshop.context, await claim(workshop, run), report_of_lost_files())

    ended = await workshop.read(run)
    assert (ended.status, ended.verification) == (RunStatus.FAILED, None)


def report_of_lost_files() -> RunReport:
    check = Check(id="tests", run=("pytest",))
    work = RunResult(
        structured=None,
        summary="",
        head_branch="work",
        head_sha="1" * 40,
        base=WorkBase("main", "0" * 40),
        files_changed=["turns.txt"],
        patch=b"",
        definitions=unite([(CheckSource.PROJECT, CheckSetOf(checks=(check,)))]),
    )
    return RunReport(work=work, has_repository=True, stored=StoredFiles(missing=("turns.png",)))


async def test_agent_is_asked_whatever_a_check_prints(workshop: Workshop, repositories: Repositories) -> None:
    """Regression: a NUL byte in the end of its output made the verdict inconclusive."""
    prints = ["bash", "-c", "printf 'a\\0b'; exit 1"]
    shop, run = await refuted(workshop, repositories, "work", "2", command=prints)

    assert (await shop.read(run)).status == RunStatus.QUEUED
    async with unit_of_work(shop.sessions) as session:
        asked = await session.scalar(select(Verification.repair).where(Verification.run_id == run.id))
    assert "a\ufffdb" in (asked or "")
