"""Folders with a confinement of each kind that this machine can do."""

import pytest

from app.agents.errors import SandboxUnavailable
from app.enums import SandboxKind
from tests.agents.conftest import Cell, CellMaker, find_sandbox

CONFINING = [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK]
ALL = [*CONFINING, SandboxKind.NONE]


@pytest.fixture(params=CONFINING)
async def cell(request: pytest.FixtureRequest, make_cell: CellMaker) -> Cell:
    try:
        return make_cell(await find_sandbox(request.param))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture(params=ALL)
async def any_cell(request: pytest.FixtureRequest, make_cell: CellMaker) -> Cell:
    try:
        return make_cell(await find_sandbox(request.param))
    except SandboxUnavailable as error:
        pytest.skip(error.message)


@pytest.fixture
async def open_cell(make_cell: CellMaker) -> Cell:
    """The control: places without a sandbox."""
    return make_cell(await find_sandbox(SandboxKind.NONE), "control")
