"""Reports are read in the sandbox of the check."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.agents.checks.junit import ReportInvalid
from app.agents.checks.reports import delete_reports, read_reports
from app.agents.sandbox.sandbox import Sandbox
from app.agents.workspace.workspace import Workspace, Workspaces
from app.enums import CaseOutcome
from app.verification.judgement import Case
from tests.agents.conftest import in_each_sandbox

pytestmark = in_each_sandbox


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    async with Workspaces(tmp_path, os.environ).open(uuid.uuid4()) as workspace:
        workspace.work.mkdir()
        yield workspace


async def test_reports_in_a_folder_become_cases(workspace: Workspace, sandbox: Sandbox) -> None:
    (workspace.work / "api").mkdir()
    (workspace.work / "api/r.xml").write_text(
        '<testsuite name="s"><testcase classname="C" name="a"><error/></testcase></testsuite>'
    )
    (workspace.work / "r.xml").write_text("not read")

    cases = await read_reports(workspace, sandbox, "api", ["*.xml"])

    assert cases == {Case("s", "C", "a"): CaseOutcome.FAILED}


async def test_no_report_is_not_an_empty_one(workspace: Workspace, sandbox: Sandbox) -> None:
    assert await read_reports(workspace, sandbox, "", ["*.xml"]) is None
    (workspace.work / "r.xml").write_text("<testsuites/>")
    assert await read_reports(workspace, sandbox, "", ["*.xml"]) == {}


async def test_invalid_report_is_named(workspace: Workspace, sandbox: Sandbox) -> None:
    (workspace.work / "r.xml").write_text("<!DOCTYPE x><x/>")

    with pytest.raises(ReportInvalid, match=r"^r.xml: it has a document type$"):
        await read_reports(workspace, sandbox, "", ["r.xml"])


async def test_reading_that_takes_too_long_is_ended(workspace: Workspace, sandbox: Sandbox) -> None:
    with pytest.raises(ReportInvalid, match=r"took over 0 s"):
        await read_reports(workspace, sandbox, "", ["r.xml"], seconds=0)


async def test_reports_are_deleted(workspace: Workspace, sandbox: Sandbox) -> None:
    for name in ("r.xml", "other.txt"):
        (workspace.work / name).touch()

    await delete_reports(workspace, sandbox, "", ["*.xml"])

    assert [path.name for path in workspace.work.iterdir()] == ["other.txt"]
