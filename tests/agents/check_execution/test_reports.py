"""Reports are read in the sandbox of the check."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.agents.check_execution.junit import ReportInvalid
from app.agents.check_execution.reports import Reports
from app.agents.sandbox.confinement import Sandbox
from app.agents.workspace.run_workspace import Workspace, Workspaces
from app.enums import CaseOutcome
from app.verdicts.judgement import Case
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

    cases = await Reports(workspace, sandbox, "api", ["*.xml"]).read()

    assert cases == {Case("s", "C", "a"): CaseOutcome.FAILED}


async def test_no_report_is_not_an_empty_one(workspace: Workspace, sandbox: Sandbox) -> None:
    assert await Reports(workspace, sandbox, "", ["*.xml"]).read() is None
    (workspace.work / "r.xml").write_text("<testsuites/>")
    assert await Reports(workspace, sandbox, "", ["*.xml"]).read() == {}


async def test_invalid_report_is_named(workspace: Workspace, sandbox: Sandbox) -> None:
    (workspace.work / "r.xml").write_text("<!DOCTYPE x><x/>")

    with pytest.raises(ReportInvalid, match=r"^r.xml: it has a document type$"):
        await Reports(workspace, sandbox, "", ["r.xml"]).read()


async def test_reading_that_takes_too_long_is_ended(workspace: Workspace, sandbox: Sandbox) -> None:
    with pytest.raises(ReportInvalid, match=r"took over 0 s"):
        await Reports(workspace, sandbox, "", ["r.xml"]).read(seconds=0)


async def test_reports_are_deleted(workspace: Workspace, sandbox: Sandbox) -> None:
    for name in ("r.xml", "other.txt"):
        (workspace.work / name).touch()

    await Reports(workspace, sandbox, "", ["*.xml"]).delete()

    assert [path.name for path in workspace.work.iterdir()] == ["other.txt"]
