"""What a run is checked by, from all places, and what its repository suggests (contract 18.2)."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from app.db import unit_of_work
from app.enums import QuestionKind, QuestionStatus, RunStatus
from app.models import Question, Verification
from app.schemas.checks.check_sets import DefinitionsIn, acceptance_of
from tests.fixtures.worker import Repositories, Workshop
from tests.support.stand_ins.git_origins import write_origin
from tests.support.verification import make_check_set
from tests.worker.run.test_earlier_runs import resumed
from tests.worker.verification.test_verification_executor import perform, shown, verify

_NAME = "acme/shop"
_CHANGE = "```sh\necho changed > README.md\n```"
_FILE = """\
[[check]]
id = "file"
run = ["test", "-f", "README.md"]
"""


def acceptance(id_: str, *run: str) -> dict[str, Any] | None:
    return acceptance_of(DefinitionsIn.model_validate({"checks": [{"id": id_, "run": list(run)}]}))


async def test_all_places_are_united_in_their_order(workshop: Workshop, repositories: Repositories) -> None:
    repositories.create(_NAME, {"README.md": "before\n", ".taskbeacon/checks.toml": _FILE})
    run = await workshop.queued_run(
        _CHANGE,
        repository=_NAME,
        acceptance=acceptance("task", "grep", "changed", "README.md"),
        state={"mode": "background", "acceptance": acceptance("run", "test", "-s", "README.md")},
    )
    async with unit_of_work(workshop.sessions) as session:
        for repository, id_ in ((None, "project"), (_NAME, "repository")):
            checks = [
                {"id": id_, "run": ["test", "-d", "."]},
                {"id": "twice", "run": ["test", "-n", id_]},
            ]
            _ = await make_check_set(session, project=workshop.project, repository=repository, checks=checks)

    await perform(workshop, run)
    await verify(workshop)

    result = shown(await workshop.read(run))
    assert [(check["id"], check["source"]) for check in result["checks"]] == [
        ("project", "project"),
        ("twice", "project"),
        ("repository", "repository"),
        ("file", "file"),
        ("task", "task"),
        ("run", "run"),
    ]
    assert result["verdict"] == "verified"
    assert result["found"] == []


async def test_state_of_an_earlier_release_defines_nothing(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create(_NAME, {"README.md": "before\n"})
    state = {"mode": "background", "acceptance": {"checks": "the tests"}}
    run = await workshop.queued_run(_CHANGE, repository=_NAME, state=state)

    await perform(workshop, run)

    assert shown(await workshop.read(run))["verdict"] == "claimed"


async def test_run_without_checks_lists_what_its_repository_suggests(
    workshop: Workshop, repositories: Repositories
) -> None:
    package = json.dumps({"scripts": {"test": "vitest", "start": "vite"}})
    repositories.create(_NAME, {"README.md": "before\n", "web/package.json": package, "go.mod": ""})
    run = await workshop.queued_run(_CHANGE, repository=_NAME)

    await perform(workshop, run)

    result = shown(await workshop.read(run))
    assert (result["verdict"], [reason["code"] for reason in result["reasons"]]) == ("claimed", ["no_checks"])
    assert (result["attempt"], result["attempts"], result["checks"]) == (0, 0, [])
    assert [(each["check"]["id"], each["check"]["cwd"], each["origin"]) for each in result["found"]] == [
        ("go-test", "", {"path": "go.mod", "key": None}),
        ("npm-test", "web", {"path": "web/package.json", "key": "scripts.test"}),
    ]
    # Valid as they are, and regression is their gate.
    taken = DefinitionsIn.model_validate({"checks": [each["check"] for each in result["found"]]})
    assert {check.gate.value for check in taken.checks} == {"regression"}


async def test_run_that_changes_nothing_is_judged_by_the_branch_that_it_continues(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: refuted work became claimed, without its branch, by a run that only explained it."""
    repositories.create(_NAME, {"README.md": "before\n"})
    checks = acceptance("tests", "grep", "before", "README.md")
    refuted = await workshop.queued_run(_CHANGE, repository=_NAME, acceptance=checks)
    await perform(workshop, refuted)
    await verify(workshop)
    assert shown(await workshop.read(refuted))["verdict"] == "refuted"

    message = "```say\nIt is all right.\n```"
    run = await resumed(workshop, refuted, runtime_adapter="runbook", pending_user_message=message)
    await perform(workshop, run)
    await verify(workshop)

    before, after = await workshop.read(refuted), await workshop.read(run)
    assert (after.status, shown(after)["verdict"]) == (RunStatus.COMPLETED, "refuted")
    assert shown(after)["reasons"] == shown(before)["reasons"]
    assert (shown(after)["commit"], shown(after)["base"]) == (
        shown(before)["commit"],
        shown(before)["base"],
    )
    assert before.output is not None
    assert after.output is not None
    for name in ("head_branch", "head_sha"):
        assert after.output[name] == before.output[name]
    assert after.output["files_changed"] == []
    async with unit_of_work(workshop.sessions) as session:
        asked = select(Question.kind).where(Question.run_id == run.id, Question.status == QuestionStatus.OPEN)
        assert await session.scalar(asked) == QuestionKind.VERDICT


async def test_work_on_a_branch_that_began_empty_has_no_base(
    workshop: Workshop, repositories: Repositories
) -> None:
    """Regression: the base was the work before, so that its failing cases had failed before."""
    write_origin(Path(repositories.base_url.removeprefix("file://"), _NAME), [])
    report = "<testsuite><testcase name='one'><failure/></testcase></testsuite>"
    failing: dict[str, Any] = {"id": "tests", "shell": f'echo "{report}" > report.xml; [ -e mended ]'}
    checks = DefinitionsIn.model_validate({"checks": [failing | {"reports": ["report.xml"]}]})
    first = await workshop.queued_run(_CHANGE, repository=_NAME, acceptance=acceptance_of(checks))
    await perform(workshop, first)
    await verify(workshop)

    message = "```sh\necho more > more.txt\n```"
    second = await resumed(workshop, first, runtime_adapter="runbook", pending_user_message=message)
    await perform(workshop, second)
    await verify(workshop)

    before, after = shown(await workshop.read(first)), shown(await workshop.read(second))
    assert (after["verdict"], after["base"]) == (before["verdict"], None)
    assert before["verdict"] != "verified"


async def test_claims_of_the_agent_are_judged_by_its_checks_and_files(
    workshop: Workshop, repositories: Repositories
) -> None:
    """They never change the verdict (contract 18.6)."""
    repositories.create(_NAME, {"README.md": "before\n"})
    run = await workshop.queued_run(
        _CHANGE, repository=_NAME, acceptance=acceptance("tests", "grep", "changed", "README.md")
    )
    await perform(workshop, run)
    stated: dict[str, Any] = {
        "statement": "Done.",
        "check": None,
        "command": None,
        "path": None,
        "judgement": "claimed",
    }
    claims: list[dict[str, Any]] = [
        {**stated, "kind": "tests_pass", "check": "tests"},
        {**stated, "kind": "tests_pass", "command": ["grep", "changed", "README.md"]},
        {**stated, "kind": "file_written", "path": "README.md"},
        {**stated, "kind": "file_written", "path": "docs/guide.md"},
        {**stated, "kind": "other"},
    ]
    async with unit_of_work(workshop.sessions) as session:
        # As the agent of another adapter reports them.
        await session.execute(
            update(Verification).values(shown=Verification.shown.op("||")({"claims": claims}))
        )

    await verify(workshop)

    result = shown(await workshop.read(run))
    judgements = ["verified", "verified", "verified", "refuted", "claimed"]
    assert result["claims"] == [
        {**claim, "judgement": judgement} for claim, judgement in zip(claims, judgements, strict=True)
    ]
    assert result["verdict"] == "verified"
