"""Reports are read in the sandbox of the check."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.agents.checks.junit import ReportInvalid
from app.agents.checks.reports import REPORT_READER, REPORT_STREAMS, read_reports
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.sandbox import Sandbox, confined_environment
from app.enums import CaseOutcome
from app.processes.own_program import OWN_PROGRAM
from app.verification.judgement import Case
from tests.agents.conftest import Cell, CellMaker, in_each_sandbox

pytestmark = in_each_sandbox

Start = Callable[[], Awaitable[ConfinedProcess]]


@pytest.fixture
def cell(sandbox: Sandbox, make_cell: CellMaker) -> Cell:
    return make_cell(sandbox)


@pytest.fixture
def clone(cell: Cell) -> Path:
    return cell.confinement.places.work


@pytest.fixture
def start(cell: Cell) -> Start:
    confinement = replace(cell.confinement, readable=OWN_PROGRAM)

    async def started() -> ConfinedProcess:
        environment = confined_environment({})
        return await cell.sandbox.start(REPORT_READER, confinement, environment, streams=REPORT_STREAMS)

    return started


async def test_reports_in_a_folder_become_cases(start: Start, clone: Path) -> None:
    (clone / "api").mkdir()
    (clone / "api/r.xml").write_text(
        '<testsuite name="s"><testcase classname="C" name="a"><error/></testcase></testsuite>'
    )
    (clone / "r.xml").write_text("not read")

    cases = await read_reports(await start(), "api", ["*.xml"])

    assert cases == {Case("s", "C", "a"): CaseOutcome.FAILED}


async def test_no_report_is_not_an_empty_one(start: Start, clone: Path) -> None:
    assert await read_reports(await start(), "", ["*.xml"]) is None
    (clone / "r.xml").write_text("<testsuites/>")
    assert await read_reports(await start(), "", ["*.xml"]) == {}


async def test_invalid_report_is_named(start: Start, clone: Path) -> None:
    (clone / "r.xml").write_text("<!DOCTYPE x><x/>")

    with pytest.raises(ReportInvalid, match=r"^r.xml: it has a document type$"):
        await read_reports(await start(), "", ["r.xml"])


async def test_reading_that_takes_too_long_is_ended(start: Start) -> None:
    reader = await start()

    with pytest.raises(ReportInvalid, match=r"took over 0 s"):
        await read_reports(reader, "", ["r.xml"], seconds=0)

    assert reader.returncode is not None
