"""The stage on which sessions with agents are tried."""

import pytest

from tests.agents.conftest import CellMaker
from tests.agents.session.test_agent_session import Stage


@pytest.fixture
def stage(make_cell: CellMaker) -> Stage:
    return Stage(make_cell)
